import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { checkPolicy, loadPolicy, type Policy, policyClauses, policySchema } from "./policy.js";
import { exampleConfig, examplePlan, examplePolicy } from "./test-plans.js";

const facts = { parameters: 1_000_000, localSamples: 100 };
const question = { plan: examplePlan(), config: exampleConfig, policy: examplePolicy, facts };

type Jobs = Policy["jobs"];
const jobs = (changes: Partial<Jobs>): Policy => ({ ...examplePolicy, jobs: { ...examplePolicy.jobs, ...changes } });
const secagg = (changes: Partial<Policy["secagg"]>): Policy => ({
  ...examplePolicy,
  secagg: { ...examplePolicy.secagg, ...changes },
});

const egress = (changes: Partial<Policy["egress"]>): Policy => ({
  ...examplePolicy,
  egress: { ...examplePolicy.egress, ...changes },
});

/** For each clause, a policy that differs from the allowing one only there. */
const refusing: Readonly<Record<string, Policy>> = {
  federation: { ...examplePolicy, federation: "another" },
  "secagg.minCohort": secagg({ minCohort: 4 }),
  "secagg.maxColluders": secagg({ maxColluders: 1 }),
  "jobs.methods": jobs({ methods: ["mae"] }),
  "jobs.architectures": jobs({ architectures: ["vit-base"] }),
  "jobs.modalities": jobs({ modalities: ["radiograph", "pathology"] }),
  "jobs.maxRounds": jobs({ maxRounds: 9 }),
  "jobs.maxStepsPerRound": jobs({ maxStepsPerRound: 4 }),
  "jobs.maxBatchSize": jobs({ maxBatchSize: 3 }),
  "jobs.maxParameters": jobs({ maxParameters: 999_999 }),
  "jobs.minLocalSamples": jobs({ minLocalSamples: 101 }),
  "egress.lanes": egress({ lanes: ["weight", "steps", "clipped"] }),
  "egress.statistics": jobs({ methods: ["clusters"], architectures: [] }),
};

const clusterConfig = runConfigSchema.parse({
  ...{ name: "c", modality: "dermatology", method: { name: "clusters" }, rounds: 10 },
});

/** The example's question, or for the one clause that is about it, a run of clusters. */
const questionFor = (clause: string) =>
  clause === "egress.statistics" ? { ...question, config: clusterConfig } : question;

describe("checkPolicy", () => {
  it("allows what every clause allows, limits included", () => {
    const exact = jobs({
      maxRounds: 10,
      maxStepsPerRound: 5,
      maxBatchSize: 4,
      maxParameters: 1_000_000,
      minLocalSamples: 100,
    });
    expect(checkPolicy({ ...question, policy: exact })).toEqual({ allowed: true });
  });

  it("allows statistics where it says so, whatever the architectures", () => {
    const { egress: allowing } = egress({ statistics: "allow" });
    const policy = { ...jobs({ methods: ["clusters"], architectures: [] }), egress: allowing };
    expect(checkPolicy({ ...questionFor("egress.statistics"), policy })).toEqual({ allowed: true });
  });

  it("has an example of every clause", () => {
    expect(Object.keys(refusing)).toEqual(policyClauses);
  });

  it.each(Object.entries(refusing))("refuses by %s", (clause, policy) => {
    const verdict = checkPolicy({ ...questionFor(clause), policy });
    expect(verdict).toMatchObject({ allowed: false, clause });
    expect(verdict).toHaveProperty("reason", expect.stringMatching(/./));
  });

  it("names asked and allowed values in the reason", () => {
    expect(checkPolicy({ ...question, policy: jobs({ maxRounds: 9 }) })).toMatchObject({
      reason: "the run asks for 10 rounds, the policy allows 9",
    });
  });

  it("takes an empty list as nothing", () => {
    expect(checkPolicy({ ...question, policy: jobs({ methods: [] }) })).toMatchObject({
      reason: "the run asks for simclr, the policy allows nothing",
    });
  });
});

describe("a policy file", () => {
  const text = (extra: string) => `version: 1
federation: demo
secagg: { minCohort: 3, maxColluders: 0 }
jobs:
  methods: [simclr]
  architectures: [vit-nano]
  modalities: [dermatology]
  maxRounds: 10
  maxStepsPerRound: 10
  maxBatchSize: 64
  maxParameters: 1000000
  minLocalSamples: 1
${extra}egress: { lanes: [weight] }
`;

  it("is read", () => {
    const policy = parseYaml(text(""), policySchema, "policy.yaml");
    expect(policy.jobs.maxRounds).toBe(10);
    expect(policy.egress).toEqual({ lanes: ["weight"], statistics: "deny", minCell: 10 });
  });

  it("with an unknown key is refused with the line", () => {
    expect(() => parseYaml(text("  hours: night\n"), policySchema, "policy.yaml")).toThrow(
      "policy.yaml:13: unknown key 'jobs.hours'",
    );
  });

  it("that says nothing about a limit is refused, since nothing has a default", () => {
    expect(() => parseYaml(text("").replace("  maxRounds: 10\n", ""), policySchema, "policy.yaml")).toThrow(
      /jobs.maxRounds/,
    );
  });

  it("that is missing is an error", () => {
    expect(() => loadPolicy("/nonexistent/policy.yaml")).toThrow(/cannot be read/);
  });
});
