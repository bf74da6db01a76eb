import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { describe, expect, it } from "vitest";
import { quadratic } from "../engine/testing/quadratic.js";
import type { StateShape } from "../engine/training-state.js";
import { beginRound, rampFactor, rampSteps } from "./begin-round.js";
import { checkpointVector } from "./checkpoint-state.js";
import { digestText, type LocalState } from "./local-state.js";

const layout = placeParameters([{ name: "a", shape: [2], initializer: { kind: "zeros" } }]);
const checkpoint = { vector: Float32Array.of(1, 2), digest: "new" };
const shape: StateShape = {
  method: {
    ...quadratic,
    carried: {
      specs: { "teacher.a": { shape: [2], dtype: "float32" } },
      start: ({ a }) => ({ "teacher.a": a! }),
      afterStep: ({ carried }) => carried,
    },
  },
  layout,
  optimizer: { name: "adamw", beta1: 0.9, beta2: 0.999 },
};
const config = runConfigSchema.parse({
  name: "begin",
  modality: "dermatology",
  model: { architecture: "vit-nano" },
  method: { name: "simclr" },
  optimizer: { learningRate: 1e-3 },
  rounds: 9,
});
const start = (round: number) => ({ round, checkpoint, shape, layout, config });

function saved(round: number, checkpointDigest = "old"): LocalState {
  return {
    numbers: {
      round,
      checkpointDigest,
      layoutDigest: digestText(layout),
      step: 3,
      rampsUp: false,
      nextBatch: 17,
      lossSum: 4,
      finiteSteps: 3,
      terms: { dino: { sum: 4, steps: 3 } },
      cosine: 0.5,
      trainedMs: 9,
      strategy: {},
    },
    training: {
      parameters: Float32Array.of(5, 6),
      slots: { moment1: Float32Array.of(7, 8), moment2: Float32Array.of(9, 10) },
      carried: { "teacher.a": Float32Array.of(11, 12) },
      optimizerStep: 13,
    },
  };
}

describe("beginRound", () => {
  it("goes on in the middle of the same round from the same checkpoint", () => {
    const state = saved(4, "new");
    expect(beginRound(state, start(4))).toBe(state);
  });

  it("starts at the checkpoint with the moments and the teacher of the round before", () => {
    const begun = beginRound(saved(3), start(4));
    expect(begun.numbers).toMatchObject({
      round: 4,
      step: 0,
      nextBatch: 17,
      lossSum: 0,
      rampsUp: false,
    });
    expect(begun.training).toEqual({ ...saved(3).training, parameters: checkpoint.vector });
  });

  it("keeps the moments over one missed round and forgets them after two", () => {
    const kept = beginRound(saved(2), start(4));
    expect([kept.training.optimizerStep, kept.numbers.rampsUp]).toEqual([13, false]);
    const forgotten = beginRound(saved(1), start(4));
    expect(forgotten.numbers).toMatchObject({ rampsUp: true, nextBatch: 17 });
    const zeros = new Float32Array(2);
    expect(forgotten.training).toMatchObject({ optimizerStep: 0, slots: { moment1: zeros, moment2: zeros } });
    expect(forgotten.training.carried).toEqual({ "teacher.a": checkpoint.vector });
  });

  it("forgets moments of a round that is yet to come, as after a restored backup", () => {
    expect(beginRound(saved(9), start(4)).training.optimizerStep).toBe(0);
    expect(beginRound(saved(4, "another"), start(4)).training.optimizerStep).toBe(0);
  });

  it("ramps up for a site that joins a run under way, not in the first round", () => {
    expect(beginRound(undefined, start(4)).numbers.rampsUp).toBe(true);
    expect(beginRound(undefined, start(0)).numbers.rampsUp).toBe(false);
  });
});

describe("beginRound with carried state that travels", () => {
  const travelling: StateShape = {
    ...shape,
    method: {
      ...shape.method,
      carried: {
        specs: {
          "teacher.a": { shape: [2], dtype: "float32" },
          "anchor.a": { shape: [2], dtype: "float32" },
          "bn.running_mean": { shape: [1], dtype: "float32" },
        },
        travel: { "teacher.a": "averaged", "anchor.a": "anew", "bn.running_mean": "kept" },
        start: ({ a }) => ({
          "teacher.a": a!,
          "anchor.a": a!,
          "bn.running_mean": { shape: [1], data: Float32Array.of(0) },
        }),
        afterStep: ({ carried }) => carried,
      },
    },
  };
  const parameters = layout.parameters.map(({ name, shape: extents, initializer }) => ({
    ...{ name, initializer },
    shape: extents,
  }));
  const zeros = { kind: "zeros" } as const;
  const whole = placeParameters([...parameters, { name: "teacher.a", shape: [2], initializer: zeros }]);
  const vector = Float32Array.of(1, 2, 3, 4);
  const from = (round: number) => ({
    ...start(round),
    ...{ shape: travelling, layout: whole, checkpoint: { vector, digest: "new" } },
  });

  it("takes what is averaged from the checkpoint, keeps what stays, and begins the rest anew", () => {
    const carried = {
      "teacher.a": Float32Array.of(11, 12),
      "anchor.a": Float32Array.of(13, 14),
      "bn.running_mean": Float32Array.of(15),
    };
    const before = saved(3);
    const begun = beginRound({ ...before, training: { ...before.training, carried } }, from(4)).training;
    expect(begun.parameters).toEqual(Float32Array.of(1, 2));
    expect(begun.carried).toEqual({
      "teacher.a": Float32Array.of(3, 4),
      "anchor.a": Float32Array.of(1, 2),
      "bn.running_mean": Float32Array.of(15),
    });
    expect(checkpointVector(travelling, begun)).toEqual(vector);
  });

  it("begins everything anew at a site that has nothing", () => {
    const { carried } = beginRound(undefined, from(4)).training;
    expect(carried["bn.running_mean"]).toEqual(Float32Array.of(0));
    expect(carried["teacher.a"]).toEqual(Float32Array.of(3, 4));
  });
});

describe("rampFactor", () => {
  it("rises to one over the first steps", () => {
    expect(rampFactor({ rampsUp: true }, 0)).toBe(1 / rampSteps);
    expect(rampFactor({ rampsUp: true }, rampSteps - 1)).toBe(1);
    expect(rampFactor({ rampsUp: true }, 500)).toBe(1);
    expect(rampFactor({ rampsUp: false }, 0)).toBe(1);
  });
});
