import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cosineFrom, cosineToAggregate, type LastRound } from "./aggregate-cosine.js";
import { readCheckpoint } from "./checkpoint-vector.js";
import type { LocalState } from "./local-state.js";

const layout = placeParameters([{ name: "a", shape: [2], initializer: { kind: "zeros" } }]);
let root: string;
let earlierPath: string;
let digest: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "cosine-"));
  earlierPath = join(root, "earlier.safetensors");
  await writeSafetensors(earlierPath, [{ name: "a", shape: [2], data: Float32Array.of(1, 1) }]);
  ({ digest } = await readCheckpoint(earlierPath, layout));
});
afterAll(() => rm(root, { recursive: true }));

/** The site learned (3, 4) in round 4, of which it took all three steps. */
function saved(change: Partial<LocalState["numbers"]> = {}): LocalState {
  const numbers = {
    ...{ round: 4, step: 3, checkpointDigest: digest, layoutDigest: "", rampsUp: false, nextBatch: 3 },
    ...{ lossSum: 1, finiteSteps: 3, terms: {}, trainedMs: 1, strategy: {} },
  };
  const training = { parameters: Float32Array.of(4, 5), slots: {}, carried: {}, optimizerStep: 3 };
  return { numbers: { ...numbers, ...change }, training };
}

const cosine = (change: Partial<LastRound> = {}) =>
  cosineToAggregate({
    ...{ saved: saved(), round: 5, layout, stepsPerRound: 3, earlierPath },
    // The cohort made (4, 3) of it.
    checkpoint: { vector: Float32Array.of(5, 4), digest: "new" },
    sentVector: ({ training }) => training.parameters,
    ...change,
  });

describe("cosineToAggregate", () => {
  it("is of what the site learned in the last round and what became of it", async () => {
    expect(await cosine()).toBeCloseTo(24 / 25, 12);
  });

  it.each([
    ["the site missed a round", () => ({ round: 6 })],
    ["the site did not finish its round", () => ({ saved: saved({ step: 2 }) })],
    ["the checkpoint is another one", () => ({ saved: saved({ checkpointDigest: "other" }) })],
    ["it is the site's first round", () => ({ saved: undefined })],
    ["no earlier checkpoint is kept", () => ({ earlierPath: undefined })],
    ["the earlier checkpoint is gone", () => ({ earlierPath: join(root, "gone") })],
    ["the federation did not move", () => ({ checkpoint: { vector: Float32Array.of(1, 1), digest: "new" } })],
  ])("is left out where %s", async (_, change) => {
    expect(await cosine(change())).toBeUndefined();
  });
});

it("cosineFrom does not depend on lengths", () => {
  const origin = new Float32Array(3);
  expect(cosineFrom(origin, Float32Array.of(1, 0, 0), Float32Array.of(-1e-20, 0, 0))).toBe(-1);
  expect(cosineFrom(origin, Float32Array.of(1, 0, 0), Float32Array.of(0, 1e15, 0))).toBe(0);
});
