import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import type { Policy } from "./policy.js";
import { checkPolicy, judgePolicy, policyClauses } from "./policy-check.js";
import { exampleConfig, examplePlan, examplePolicy } from "./test-plans.js";

const facts = { parameters: 1_000_000, localSamples: 100, approval: undefined, runPlace: 2 };
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

const sitesHidden = (changes: { minNoiseMultiplier?: number }): Policy => ({
  ...examplePolicy,
  dp: { mode: "site", required: false, maxEpsilon: 8, delta: 1e-6, ...changes },
});

const dp = (changes: { required?: boolean; maxEpsilon?: number }): Policy => ({
  ...examplePolicy,
  dp: { mode: "patient", required: false, maxEpsilon: 8, delta: 1e-6, ...changes },
});

/** For each clause, a policy that differs from the allowing one only there. */
const refusing: Readonly<Record<string, Policy>> = {
  federation: { ...examplePolicy, federation: "another" },
  "secagg.minCohort": secagg({ minCohort: 4 }),
  "secagg.maxColluders": secagg({ maxColluders: 1 }),
  "jobs.methods": jobs({ methods: ["mae"] }),
  "jobs.architectures": jobs({ architectures: ["vit-base"] }),
  "jobs.modalities": jobs({ modalities: ["radiograph", "pathology"] }),
  "jobs.researchers": jobs({ researchers: ["fed://demo/researcher/r2"] }),
  "jobs.maxRounds": jobs({ maxRounds: 9 }),
  "jobs.maxStepsPerRound": jobs({ maxStepsPerRound: 4 }),
  "jobs.minStepsPerRound": jobs({ minStepsPerRound: 6 }),
  "jobs.maxBatchSize": jobs({ maxBatchSize: 3 }),
  "jobs.maxParameters": jobs({ maxParameters: 999_999 }),
  "jobs.minLocalSamples": jobs({ minLocalSamples: 101 }),
  "jobs.maxRunsPerDataset": jobs({ maxRunsPerDataset: 1 }),
  "egress.lanes": egress({ lanes: ["weight", "steps", "clipped"] }),
  "egress.statistics": jobs({ methods: ["clusters"], architectures: [] }),
  "dp.mode": dp({ required: true }),
  "privacy.leastPatients": dp({}),
  "dp.minNoiseMultiplier": sitesHidden({ minNoiseMultiplier: 0.0021 }),
  "privacy.noise": dp({}),
  "dp.maxEpsilon": dp({ maxEpsilon: 1.9 }),
  "jobs.approval": jobs({ approval: "manual" }),
};

const clusterConfig = runConfigSchema.parse({
  ...{ name: "c", modality: "dermatology", method: { name: "clusters" }, rounds: 10 },
});

const privateConfig: typeof exampleConfig = {
  ...exampleConfig,
  privacy: { mode: "patient", clip: 1, noiseMultiplier: 0.05, delta: 1e-6, leastPatients: 500, imagesPerPatient: 1 },
};

const hidingConfig: typeof exampleConfig = {
  ...exampleConfig,
  privacy: { mode: "site", clip: 1, noiseMultiplier: 0.002, delta: 1e-6 },
};

/** The example's question, or for the clauses that are about them, a run of clusters and private ones. */
const questionFor = (clause: string) => {
  const privateBy = (patients: number) => {
    return { ...question, config: privateConfig, facts: { ...facts, privacy: { patients, epsilonAfter: 2 } } };
  };
  switch (clause) {
    case "dp.minNoiseMultiplier":
      return { ...question, config: hidingConfig };
    case "privacy.noise": {
      const hopeless = { ...privateConfig, privacy: { ...privateConfig.privacy, noiseMultiplier: 1e5 } };
      return { ...privateBy(500), config: hopeless as typeof exampleConfig };
    }
    case "egress.statistics":
      return { ...question, config: clusterConfig };
    case "privacy.leastPatients":
      return privateBy(499);
    case "dp.maxEpsilon":
      return privateBy(500);
    default:
      return question;
  }
};

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

describe("jobs.approval: manual", () => {
  const policy = jobs({ approval: "manual" });
  const decided = (approval: "granted" | "denied" | "waiting") =>
    checkPolicy({ ...question, policy, facts: { ...facts, approval } });

  it("allows what was granted only", () => {
    expect(decided("granted")).toEqual({ allowed: true });
    expect(decided("denied")).toMatchObject({ clause: "jobs.approval", reason: expect.stringMatching(/denied/) });
    expect(decided("waiting")).toMatchObject({
      clause: "jobs.approval",
      reason: expect.stringMatching(/approvals list/),
    });
  });

  it("is asked last, so that nobody is asked about a run that the policy refuses anyway", () => {
    expect(policyClauses.at(-1)).toBe("jobs.approval");
    const strict = jobs({ approval: "manual", maxRounds: 9 });
    expect(checkPolicy({ ...question, policy: strict })).toMatchObject({ clause: "jobs.maxRounds" });
  });
});

describe("judgePolicy", () => {
  it("says of every clause what is asked and allowed", () => {
    const verdicts = judgePolicy({ ...question, policy: jobs({ maxRounds: 9, maxBatchSize: 3 }) });
    expect(verdicts.map(({ clause }) => clause)).toEqual(policyClauses);
    expect(verdicts.filter(({ verdict }) => verdict === "refused").map(({ clause }) => clause)).toEqual([
      "jobs.maxRounds",
      "jobs.maxBatchSize",
    ]);
    expect(verdicts.find(({ clause }) => clause === "jobs.maxRounds")).toEqual({
      ...{ clause: "jobs.maxRounds", asked: "10 rounds", allows: "at most 9", verdict: "refused" },
      reason: "the run asks for 10 rounds, the policy allows 9",
    });
    expect(verdicts.find(({ clause }) => clause === "jobs.modalities")).toEqual({
      ...{ clause: "jobs.modalities", asked: "dermatology", allows: "dermatology", verdict: "allowed" },
    });
  });

  it("leaves open what nobody knows yet, which allows no plan", () => {
    const open = { ...question, facts: { ...facts, localSamples: undefined }, policy: jobs({ approval: "manual" }) };
    const undecided = judgePolicy(open).filter(({ verdict }) => verdict === "open");
    expect(undecided.map(({ clause }) => clause)).toEqual(["jobs.minLocalSamples", "jobs.approval"]);
    expect(checkPolicy(open)).toMatchObject({ allowed: false, clause: "jobs.minLocalSamples" });
  });
});
