import { describe, expect, it } from "vitest";
import { examplePlan } from "../test-plans.js";
import { checkPlan, requireRunTerms } from "./plan-check.js";

const judge = (changes: Parameters<typeof examplePlan>[0] = {}) => {
  const plan = examplePlan(changes);
  requireRunTerms(plan, checkPlan(plan));
};

describe("the terms of a plan", () => {
  const { tensorClips, l2Clip, weightCap, lanes } = examplePlan();

  it("are those of its run, but for the last bits of a clip", () => {
    expect(() => judge()).not.toThrow();
    expect(() => judge({ tensorClips: tensorClips.map((clip) => clip * (1 + 1e-7)) })).not.toThrow();
  });

  it.each([
    ["L: changed clip", { tensorClips: tensorClips.map((clip) => clip * 1.01) }, /clips/],
    ["L: a clip left out", { tensorClips: tensorClips.slice(0, -1) }, /clips/],
    ["L: a clip too many", { tensorClips: [...tensorClips, 1] }, /clips/],
    ["L: clips that are no numbers", { tensorClips: tensorClips.map(() => Number.NaN) }, /clips/],
    ["L: clips without end", { tensorClips: tensorClips.map(() => Infinity) }, /clips/],
    ["L: a norm that is no number", { l2Clip: Number.NaN }, /clips/],
    ["L: changed norm", { l2Clip: l2Clip * 10 }, /clips/],
    ["L: changed weight cap", { weightCap: weightCap * 2 }, /weight cap/],
    ["L: a lane left out", { lanes: lanes.filter((lane) => lane !== "steps") }, /lanes are not those of its run/],
    ["L: lanes in another order", { lanes: [...lanes].reverse() }, /lanes are not those of its run/],
    ["L: a figure without its count", { lanes: lanes.slice(0, -1) }, /lanes lack/],
    ["L: steps of another round", { firstStep: 5 }, /first step/],
    ["L: another number of sites that must be in a sum", { minCohort: 2 }, /cohort/],
    ["L: room for more sites than the run takes", { cohortSize: 128 }, /cohort/],
    ["L: other colluders to withstand", { colluders: 1 }, /cohort/],
    ["L: a longer training window", { trainingWindowMs: 120_000 }, /windows/],
    ["L: a shorter stage window", { stageWindowMs: 1000 }, /windows/],
    ["L: a round before the first", { key: { runId: "run-1", round: 0, attempt: 1 } }, /round is outside/],
    ["L: a round after the last", { key: { runId: "run-1", round: 11, attempt: 1 } }, /round is outside/],
    ["L: half a round", { key: { runId: "run-1", round: 1.5, attempt: 1 } }, /round is outside/],
    ["L: changed layout", { layoutDigest: new Uint8Array(32) }, /layout/],
    ["L: huge plan: more parameters than the model has", { dimension: 2 ** 40 }, /parameters/],
  ])("%s is refused", (_, changes, reason) => {
    expect(() => judge(changes)).toThrow(reason);
  });
});
