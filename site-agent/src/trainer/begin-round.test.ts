import { placeParameters } from "@consilium/shared/params/layout.js";
import { describe, expect, it } from "vitest";
import { quadratic } from "../engine/testing/quadratic.js";
import type { StateShape } from "../engine/training-state.js";
import { beginRound, rampFactor, rampSteps } from "./begin-round.js";
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
const start = (round: number) => ({ round, checkpoint, shape });

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
      trainedMs: 9,
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

describe("rampFactor", () => {
  it("rises to one over the first steps", () => {
    expect(rampFactor({ rampsUp: true }, 0)).toBe(1 / rampSteps);
    expect(rampFactor({ rampsUp: true }, rampSteps - 1)).toBe(1);
    expect(rampFactor({ rampsUp: true }, 500)).toBe(1);
    expect(rampFactor({ rampsUp: false }, 0)).toBe(1);
  });
});
