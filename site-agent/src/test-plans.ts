import { createHash } from "node:crypto";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import type { ReceivedPlan, RoundPlan } from "@consilium/shared/protocol.js";
import { lanePermissions } from "@consilium/shared/secagg/lanes.js";
import type { Policy } from "./policy.js";

/** A run, its plans and a policy that allows them, for tests. */

export const exampleConfig: RunConfig = runConfigSchema.parse({
  name: "example",
  modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
  method: { name: "simclr", projectionDim: 8 },
  optimizer: { learningRate: 0.001 },
  training: { batchSize: 4, stepsPerRound: 5 },
  rounds: 10,
  cohort: { minSites: 3, maxSites: 5 },
  deadlines: { trainingSeconds: 60, stageSeconds: 10 },
});

export const exampleLayout = parameterLayout(exampleConfig);

export const checkpointBytes = new Uint8Array(4096).map((_, index) => index % 251);

export function examplePlan(changes: Partial<RoundPlan> = {}): RoundPlan {
  return {
    ...planTerms(exampleConfig, exampleLayout, changes.key?.round ?? 1),
    federation: "demo",
    key: { runId: "run-1", round: 1, attempt: 0 },
    runConfigJson: canonicalJson(exampleConfig),
    checkpointDigest: new Uint8Array(createHash("sha256").update(checkpointBytes).digest()),
    checkpointBytes: checkpointBytes.length,
    layoutDigest: exampleLayout.digest,
    dimension: exampleLayout.dimension,
    previousResultDigest: new Uint8Array(0),
    rosterVersion: 1,
    rosterDigest: new Uint8Array(32).fill(9),
    launchedBy: "fed://demo/researcher/r1",
    ...changes,
  };
}

export function received(plan: RoundPlan): ReceivedPlan {
  return { plan, body: Buffer.from(JSON.stringify(plan.key)), signature: new Uint8Array(64) };
}

export const examplePolicy: Policy = {
  version: 1,
  federation: "demo",
  governance: { keys: [`ed25519:${"01".repeat(32)}`], threshold: 1, additions: "approve" },
  secagg: { minCohort: 3, maxColluders: 0, maxAttempts: 3 },
  jobs: {
    methods: ["simclr", "mae"],
    architectures: ["vit-nano", "vit-tiny"],
    modalities: ["dermatology"],
    maxRounds: 100,
    maxStepsPerRound: 50,
    maxBatchSize: 64,
    maxParameters: 10_000_000,
    minLocalSamples: 20,
    maxRunsPerDataset: 10,
    minStepsPerRound: 1,
    researchers: "everyone",
    approval: "automatic",
  },
  model: { maxUpdateL2: 1000, maxTensorChange: 5, initialDigests: [] },
  egress: { lanes: [...lanePermissions], statistics: "deny", minCell: 10 },
};
