import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { runMethodNames, trainsModel } from "@consilium/shared/config/method-config.js";
import { resnetNames, vitNames } from "@consilium/shared/config/model-config.js";
import { modalitySchema, type RunConfig } from "@consilium/shared/config/run-config.js";
import type { RoundPlan } from "@consilium/shared/protocol.js";
import { lanePermission, lanePermissions } from "@consilium/shared/secagg/lanes.js";
import { z } from "zod";

/** `policy.yaml`: what the hospital allows. No default allows anything, so what is allowed is always written down. */

const limit = z.number().int().positive();
const architectures = z.enum([...vitNames, ...resnetNames]);

export const policySchema = z.strictObject({
  version: z.literal(1),
  /** The only federation whose plans are followed. */
  federation: z.string().min(1),
  secagg: z.strictObject({
    /** Fewest hospitals in a sum that this site's update may enter. */
    minCohort: z.number().int().min(2),
    /** The masking must withstand at least this many hospitals that collude with the coordinator. */
    maxColluders: z.number().int().min(0),
  }),
  jobs: z.strictObject({
    methods: z.array(z.enum(runMethodNames)),
    architectures: z.array(architectures),
    modalities: z.array(modalitySchema),
    maxRounds: limit,
    maxStepsPerRound: limit,
    maxBatchSize: limit,
    maxParameters: limit,
    /** A run is refused while the site has fewer images than this. */
    minLocalSamples: limit,
  }),
  egress: z.strictObject({
    /** Masked values that may follow the parameters; seen by the coordinator only as sums over the cohort. */
    lanes: z.array(z.enum(lanePermissions)),
    /** Whether statistics of this site's images may travel, masked, which runs of clusters add up. */
    statistics: z.enum(["deny", "allow"]).default("deny"),
    /** Cells of clusters in which this site has fewer images are left out of what it sends. */
    minCell: limit.default(10),
  }),
});

export type Policy = z.output<typeof policySchema>;

/** @throws ConsiliumError "config-missing" or "config-invalid"; the agent then refuses every run. */
export function loadPolicy(path: string): Policy {
  return loadYaml(path, policySchema);
}

/** What the site knows by itself about the work that a plan asks for. */
export interface PlanFacts {
  /** Scalars of the model by the site's own layout. */
  readonly parameters: number;
  /** Images in the site's folder. */
  readonly localSamples: number;
}

export type PolicyVerdict =
  | { readonly allowed: true }
  | {
      readonly allowed: false;
      /** The line of the policy that says no, such as "jobs.maxRounds". */
      readonly clause: string;
      /** For the site's own log; names the value asked for and the limit. */
      readonly reason: string;
    };

/** A plan, the run it belongs to, and what decides about it. */
export interface PolicyQuestion {
  readonly plan: RoundPlan;
  readonly config: RunConfig;
  readonly policy: Policy;
  readonly facts: PlanFacts;
}

/** A clause of the policy; its answer is the reason for a refusal, or undefined where the clause has nothing against the plan. */
type Clause = readonly [name: string, objection: (question: PolicyQuestion) => string | undefined];

const atMost = (asked: number, allowed: number, unit: string): string | undefined =>
  asked <= allowed ? undefined : `the run asks for ${asked} ${unit}, the policy allows ${allowed}`;

const oneOf = (asked: string, allowed: readonly string[]): string | undefined =>
  allowed.includes(asked) ? undefined : `the run asks for ${asked}, the policy allows ${list(allowed)}`;

const list = (names: readonly string[]): string => (names.length === 0 ? "nothing" : names.join(", "));

const clauses: readonly Clause[] = [
  ["federation", ({ plan, policy }) => oneOf(plan.federation, [policy.federation])],
  [
    "secagg.minCohort",
    ({ plan, policy: { secagg } }) =>
      plan.minCohort >= secagg.minCohort
        ? undefined
        : `the run adds up as few as ${plan.minCohort} sites, the policy asks for at least ${secagg.minCohort}`,
  ],
  [
    "secagg.maxColluders",
    ({ plan, policy: { secagg } }) =>
      plan.colluders >= secagg.maxColluders
        ? undefined
        : `the run withstands ${plan.colluders} colluding sites, the policy asks for at least ${secagg.maxColluders}`,
  ],
  ["jobs.methods", ({ config, policy }) => oneOf(config.method.name, policy.jobs.methods)],
  [
    "jobs.architectures",
    ({ config, policy }) =>
      trainsModel(config.method) ? oneOf(config.model.architecture, policy.jobs.architectures) : undefined,
  ],
  ["jobs.modalities", ({ config, policy }) => oneOf(config.modality, policy.jobs.modalities)],
  ["jobs.maxRounds", ({ config, policy }) => atMost(config.rounds, policy.jobs.maxRounds, "rounds")],
  [
    "jobs.maxStepsPerRound",
    ({ config, policy }) => atMost(config.training.stepsPerRound, policy.jobs.maxStepsPerRound, "steps per round"),
  ],
  [
    "jobs.maxBatchSize",
    ({ config, policy }) => atMost(config.training.batchSize, policy.jobs.maxBatchSize, "images per batch"),
  ],
  ["jobs.maxParameters", ({ facts, policy }) => atMost(facts.parameters, policy.jobs.maxParameters, "parameters")],
  [
    "jobs.minLocalSamples",
    ({ facts, policy: { jobs } }) =>
      facts.localSamples >= jobs.minLocalSamples
        ? undefined
        : `this site has ${facts.localSamples} images, the policy asks for at least ${jobs.minLocalSamples}`,
  ],
  [
    "egress.lanes",
    ({ plan, policy }) => {
      const asked = new Set(plan.lanes.map(lanePermission));
      const forbidden = [...asked].filter((lane) => !policy.egress.lanes.some((allowed) => allowed === lane));
      return forbidden.length === 0 ? undefined : `the run asks for ${list(forbidden)} besides the parameters`;
    },
  ],
  [
    "egress.statistics",
    ({ config, policy }) =>
      trainsModel(config.method) || policy.egress.statistics === "allow"
        ? undefined
        : "the run asks for statistics of this site's images",
  ],
];

/** Every clause that a policy can say no with, in the order of the file. */
export const policyClauses: readonly string[] = clauses.map(([name]) => name);

/** Whether the site's policy lets a plan run; the first clause of the file that objects is named. */
export function checkPolicy(question: PolicyQuestion): PolicyVerdict {
  for (const [clause, objection] of clauses) {
    const reason = objection(question);
    if (reason !== undefined) return { allowed: false, clause, reason };
  }
  return { allowed: true };
}
