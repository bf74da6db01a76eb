import { trainsModel } from "@consilium/shared/config/method-config.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { predictPrivacy } from "@consilium/shared/privacy/prediction.js";
import type { RoundPlan } from "@consilium/shared/protocol.js";
import { lanePermission } from "@consilium/shared/secagg/lanes.js";
import type { Policy } from "./policy.js";
import type { PrivacyFacts } from "./privacy/privacy-account.js";

/** What the site knows by itself about the work that a plan asks for; undefined: not yet. */
export interface PlanFacts {
  /** Scalars of the model by the site's own layout. */
  readonly parameters: number;
  /** Images that the site has to train on. */
  readonly localSamples: number | undefined;
  /** What a person decided about exactly this run. Counts only where the policy asks for a person. */
  readonly approval: "granted" | "denied" | "waiting" | undefined;
  /** Which of all runs on these images this is, from 1. */
  readonly runPlace: number;
  /** Of a private run; absent where the policy has no budget for one. */
  readonly privacy?: PrivacyFacts | undefined;
}

/** A plan, or what one made of a run file would hold; the run it belongs to, and what decides about it. */
export interface PolicyQuestion {
  readonly plan: Pick<RoundPlan, "federation" | "minCohort" | "colluders" | "lanes"> & {
    /** Undefined where there is no plan yet. */
    readonly launchedBy?: string;
  };
  readonly config: RunConfig;
  readonly policy: Policy;
  readonly facts: PlanFacts;
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

/** What one clause of the policy says. */
export interface ClauseVerdict {
  readonly clause: string;
  /** What the run asks for, and what the policy allows, for people. */
  readonly asked: string;
  readonly allows: string;
  /** "open": the fact that decides is not known yet. No plan is followed while one is. */
  readonly verdict: "allowed" | "refused" | "open";
  /** Why, unless it is allowed. */
  readonly reason?: string;
}

interface Finding {
  readonly asked: string;
  readonly allows: string;
  /** Why the clause says no; undefined where it has nothing against the plan. */
  readonly objection: string | undefined;
  readonly open?: boolean;
}

type Clause = readonly [name: string, find: (question: PolicyQuestion) => Finding];

const atMost = (asked: number, allowed: number, unit: string): Finding => ({
  asked: `${asked} ${unit}`,
  allows: `at most ${allowed}`,
  objection: asked <= allowed ? undefined : `the run asks for ${asked} ${unit}, the policy allows ${allowed}`,
});

const oneOf = (asked: string, allowed: readonly string[]): Finding => ({
  asked,
  allows: list(allowed),
  objection: allowed.includes(asked) ? undefined : `the run asks for ${asked}, the policy allows ${list(allowed)}`,
});

const list = (names: readonly string[]): string => (names.length === 0 ? "nothing" : names.join(", "));

/** The clause that a person's word satisfies. */
export const approvalClause = "jobs.approval";

const clauses: readonly Clause[] = [
  // site-check: policy-federation
  ["federation", ({ plan, policy }) => oneOf(plan.federation, [policy.federation])],
  // site-check: policy-secagg-min-cohort
  ["secagg.minCohort", minCohort],
  // site-check: policy-secagg-max-colluders
  ["secagg.maxColluders", maxColluders],
  // site-check: policy-jobs-methods
  ["jobs.methods", ({ config, policy }) => oneOf(config.method.name, policy.jobs.methods)],
  // site-check: policy-jobs-architectures
  ["jobs.architectures", architectures],
  // site-check: policy-jobs-modalities
  ["jobs.modalities", ({ config, policy }) => oneOf(config.modality, policy.jobs.modalities)],
  // site-check: policy-jobs-researchers
  ["jobs.researchers", researchers],
  // site-check: policy-jobs-max-rounds
  ["jobs.maxRounds", ({ config, policy }) => atMost(config.rounds, policy.jobs.maxRounds, "rounds")],
  // site-check: policy-jobs-max-steps-per-round
  [
    "jobs.maxStepsPerRound",
    ({ config, policy }) => atMost(config.training.stepsPerRound, policy.jobs.maxStepsPerRound, "steps per round"),
  ],
  // site-check: policy-jobs-min-steps-per-round
  ["jobs.minStepsPerRound", minStepsPerRound],
  // site-check: policy-jobs-max-batch-size
  [
    "jobs.maxBatchSize",
    ({ config, policy }) => atMost(config.training.batchSize, policy.jobs.maxBatchSize, "images per batch"),
  ],
  // site-check: policy-jobs-max-parameters
  ["jobs.maxParameters", ({ facts, policy }) => atMost(facts.parameters, policy.jobs.maxParameters, "parameters")],
  // site-check: policy-jobs-min-local-samples
  ["jobs.minLocalSamples", minLocalSamples],
  // site-check: policy-jobs-max-runs-per-dataset
  ["jobs.maxRunsPerDataset", maxRunsPerDataset],
  // site-check: policy-egress-lanes
  ["egress.lanes", lanes],
  // site-check: policy-egress-statistics
  ["egress.statistics", statistics],
  // site-check: policy-dp-mode
  ["dp.mode", privacyMode],
  // site-check: policy-dp-least-patients
  ["privacy.leastPatients", leastPatients],
  // site-check: policy-dp-min-noise
  ["dp.minNoiseMultiplier", minNoise],
  // site-check: policy-private-noise
  ["privacy.noise", hopefulNoise],
  // site-check: policy-dp-max-epsilon
  ["dp.maxEpsilon", maxEpsilon],
  // The last one: nobody is asked about a run that the policy refuses anyway.
  // site-check: policy-jobs-approval
  [approvalClause, approval],
];

function minCohort({ plan, policy: { secagg } }: PolicyQuestion): Finding {
  return {
    asked: `sums of ${plan.minCohort} sites or more`,
    allows: `at least ${secagg.minCohort}`,
    objection:
      plan.minCohort >= secagg.minCohort
        ? undefined
        : `the run adds up as few as ${plan.minCohort} sites, the policy asks for at least ${secagg.minCohort}`,
  };
}

function maxColluders({ plan, policy: { secagg } }: PolicyQuestion): Finding {
  return {
    asked: `withstands ${plan.colluders} colluding sites`,
    allows: `at least ${secagg.maxColluders}`,
    objection:
      plan.colluders >= secagg.maxColluders
        ? undefined
        : `the run withstands ${plan.colluders} colluding sites, the policy asks for at least ${secagg.maxColluders}`,
  };
}

function architectures({ config, policy: { jobs } }: PolicyQuestion): Finding {
  if (trainsModel(config.method)) return oneOf(config.model.architecture, jobs.architectures);
  return { asked: "no model", allows: list(jobs.architectures), objection: undefined };
}

/** Empty in the plans of a coordinator that has forgotten. */
function researchers({ plan: { launchedBy }, policy: { jobs } }: PolicyQuestion): Finding {
  if (jobs.researchers === "everyone")
    return { asked: launchedBy ?? "everyone", allows: "everyone", objection: undefined };
  const objection = "nobody has launched the run yet";
  if (launchedBy === undefined) return { asked: "–", allows: list(jobs.researchers), objection, open: true };
  return oneOf(launchedBy, jobs.researchers);
}

function minStepsPerRound({ config, policy: { jobs } }: PolicyQuestion): Finding {
  const allows = `at least ${jobs.minStepsPerRound}`;
  if (!trainsModel(config.method)) return { asked: "no training", allows, objection: undefined };
  const { stepsPerRound } = config.training;
  return {
    asked: `${stepsPerRound} steps per round`,
    allows,
    objection:
      stepsPerRound >= jobs.minStepsPerRound
        ? undefined
        : `the run asks for ${stepsPerRound} steps per round, the policy for at least ${jobs.minStepsPerRound}`,
  };
}

function maxRunsPerDataset({ facts: { runPlace }, policy: { jobs } }: PolicyQuestion): Finding {
  return {
    asked: `run ${runPlace} on this site's images`,
    allows: `at most ${jobs.maxRunsPerDataset}`,
    objection:
      runPlace <= jobs.maxRunsPerDataset
        ? undefined
        : `it is run ${runPlace} on this site's images, the policy allows ${jobs.maxRunsPerDataset} in all`,
  };
}

function minLocalSamples({ facts: { localSamples }, policy: { jobs } }: PolicyQuestion): Finding {
  const allows = `at least ${jobs.minLocalSamples}`;
  if (localSamples === undefined) {
    return { asked: "this site's images", allows, objection: "the images are not counted yet", open: true };
  }
  return {
    asked: `this site's ${localSamples} images`,
    allows,
    objection:
      localSamples >= jobs.minLocalSamples
        ? undefined
        : `this site has ${localSamples} images, the policy asks for at least ${jobs.minLocalSamples}`,
  };
}

function lanes({ plan, policy: { egress } }: PolicyQuestion): Finding {
  const asked = [...new Set(plan.lanes.map(lanePermission))];
  const forbidden = asked.filter((lane) => !egress.lanes.some((allowed) => allowed === lane));
  return {
    asked: list(asked),
    allows: list(egress.lanes),
    objection: forbidden.length === 0 ? undefined : `the run asks for ${list(forbidden)} besides the parameters`,
  };
}

function statistics({ config, policy: { egress } }: PolicyQuestion): Finding {
  const asks = !trainsModel(config.method);
  return {
    asked: asks ? "statistics of images" : "no statistics of images",
    allows: egress.statistics,
    objection: asks && egress.statistics !== "allow" ? "the run asks for statistics of this site's images" : undefined,
  };
}

function privacyMode({ config: { privacy }, policy: { dp } }: PolicyQuestion): Finding {
  const allowed = dp === undefined ? ["none"] : dp.required ? [dp.mode] : ["none", dp.mode];
  const finding = oneOf(privacy.mode, allowed);
  return { ...finding, asked: `privacy: ${privacy.mode}` };
}

function leastPatients({ config: { privacy }, facts }: PolicyQuestion): Finding {
  if (privacy.mode !== "patient") return { asked: "–", allows: "–", objection: undefined };
  const asked = `sites with ${privacy.leastPatients} patients or more`;
  const patients = facts.privacy?.patients;
  if (patients === undefined) {
    return { asked, allows: "this site's patients", objection: "the patients are not counted yet", open: true };
  }
  return {
    asked,
    allows: `this site's ${patients}`,
    objection:
      patients >= privacy.leastPatients
        ? undefined
        : `this site has ${patients} patients, too few for the run's noise to hide one among ${privacy.leastPatients}`,
  };
}

function minNoise({ config, policy: { dp } }: PolicyQuestion): Finding {
  if (config.privacy.mode !== "site" || dp?.mode !== "site" || dp.minNoiseMultiplier === undefined) {
    return { asked: "–", allows: "–", objection: undefined };
  }
  const noise = predictPrivacy(config)?.noiseMultiplier ?? 0;
  const [asked, allows] = [`noise of ${noise.toPrecision(4)} × clip`, `at least ${dp.minNoiseMultiplier}`];
  return { asked, allows, objection: noise >= dp.minNoiseMultiplier ? undefined : `the run has ${asked}, ${allows}` };
}

/** A run that noise leaves nothing to learn in would only spend the budget. */
function hopefulNoise({ config, policy: { dp } }: PolicyQuestion): Finding {
  const predicted = dp?.mode === config.privacy.mode ? predictPrivacy(config) : undefined;
  if (predicted === undefined) return { asked: "–", allows: "–", objection: undefined };
  const { kind, reason } = predicted.verdict;
  const asked = `a ${kind} run: ${reason}`;
  return { asked, allows: "what can learn", objection: kind === "hopeless" ? reason : undefined };
}

function maxEpsilon({ config: { privacy }, policy: { dp }, facts }: PolicyQuestion): Finding {
  if (privacy.mode === "none" || dp === undefined) return { asked: "–", allows: "–", objection: undefined };
  const allows = `ε ${dp.maxEpsilon} at δ ${dp.delta}`;
  const epsilon = facts.privacy?.epsilonAfter;
  if (epsilon === undefined) {
    return { asked: "privacy's cost", allows, objection: "the cost is not known yet", open: true };
  }
  const asked = `ε ${epsilon.toFixed(3)} with all that was spent before`;
  const over = `the run would raise what is spent to ε ${epsilon.toFixed(3)}, the policy allows ${dp.maxEpsilon}`;
  return { asked, allows, objection: epsilon <= dp.maxEpsilon ? undefined : over };
}

function approval({ facts, policy: { jobs } }: PolicyQuestion): Finding {
  const finding = { asked: `a person's word: ${facts.approval ?? "none yet"}`, allows: jobs.approval };
  if (jobs.approval === "automatic") return { ...finding, asked: "–", objection: undefined };
  switch (facts.approval) {
    case "granted":
      return { ...finding, objection: undefined };
    case "denied":
      return { ...finding, objection: "a person of this site denied the run" };
    default: {
      const objection = "a person of this site must grant the run: see 'consilium-agent approvals list'";
      return { ...finding, objection, open: facts.approval === undefined };
    }
  }
}

/** Every clause that a policy can say no with, in the order in which they are asked. */
export const policyClauses: readonly string[] = clauses.map(([name]) => name);

/** What every clause says, in the order of `policyClauses`. */
export function judgePolicy(question: PolicyQuestion): ClauseVerdict[] {
  return clauses.map(([clause, find]) => {
    const { asked, allows, objection, open = false } = find(question);
    if (objection === undefined) return { clause, asked, allows, verdict: "allowed" };
    return { clause, asked, allows, verdict: open ? "open" : "refused", reason: objection };
  });
}

/** Whether the site's policy lets a plan run; of the clauses that do not allow it, the first is named. */
export function checkPolicy(question: PolicyQuestion): PolicyVerdict {
  const first = judgePolicy(question).find(({ verdict }) => verdict !== "allowed");
  if (first === undefined) return { allowed: true };
  const { clause, reason = "" } = first;
  return { allowed: false, clause, reason };
}
