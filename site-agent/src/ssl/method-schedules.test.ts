import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { expect, it } from "vitest";
import { linearWarmup, momentumSchedule, stepAfter, stepsSince } from "./method-schedules.js";

const { rounds, training } = runConfigSchema.parse({
  name: "schedules",
  modality: "dermatology",
  model: { architecture: "vit-nano" },
  method: { name: "dino" },
  optimizer: { learningRate: 1e-3 },
  training: { stepsPerRound: 5 },
  rounds: 4,
});
const run = { rounds, training };
const values = (at: (step: number) => number, steps: readonly number[]) => steps.map(at);

it("sets free what is held back after a share of all steps, and counts from there", () => {
  expect(values(stepAfter(0.1, run), [0, 1, 2, 3, 19])).toEqual([0, 0, 1, 1, 1]);
  expect(values(stepsSince(0.1, run), [0, 1, 2, 3, 19])).toEqual([0, 0, 1, 2, 18]);
  expect(values(stepsSince(0, run), [0, 1])).toEqual([1, 2]);
});

it("warms up over a share of all steps, both ends included", () => {
  const at = linearWarmup({ first: 0.04, final: 0.07, share: 0.2 }, run);
  const expected = [0.04, 0.05, 0.06, 0.07, 0.07, 0.07];
  values(at, [0, 1, 2, 3, 4, 19]).forEach((value, index) => {
    expect(value).toBeCloseTo(expected[index]!, 12);
  });
});

it("moves a momentum along half a cosine", () => {
  const at = momentumSchedule({ momentum: 0.9, finalMomentum: 1 }, run);
  expect(at(0)).toBeCloseTo(0.9, 12);
  expect(at(10)).toBeCloseTo(0.95, 12);
  expect(at(19)).toBeLessThan(1);
});
