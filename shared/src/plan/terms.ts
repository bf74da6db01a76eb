import type { RunConfig } from "../config/run-config.js";
import { planWeightCap } from "../config/site-weight.js";
import type { ParameterLayout } from "../params/layout.js";
import type { RoundPlan } from "../protocol.js";
import { lanesFor } from "../secagg/lanes.js";
import { tensorClips } from "./clips.js";

/** What of a plan follows from the run and the round: a site works it out again and follows no plan that says otherwise. */
export type PlanTerms = Pick<
  RoundPlan,
  | "tensorClips"
  | "l2Clip"
  | "weightCap"
  | "lanes"
  | "firstStep"
  | "cohortSize"
  | "colluders"
  | "minCohort"
  | "trainingWindowMs"
  | "stageWindowMs"
>;

/**
 * @param layout the checkpoint's
 * @param round counted from 1
 */
export function planTerms(config: RunConfig, layout: ParameterLayout, round: number): PlanTerms {
  const { training, cohort, deadlines } = config;
  const firstStep = (round - 1) * training.stepsPerRound;
  return {
    ...clipsOf(config, layout, firstStep),
    weightCap: planWeightCap(config),
    lanes: lanesFor(config),
    firstStep,
    cohortSize: cohort.maxSites,
    colluders: cohort.colluders,
    minCohort: cohort.minSites,
    trainingWindowMs: Math.round(deadlines.trainingSeconds * 1000),
    stageWindowMs: Math.round(deadlines.stageSeconds * 1000),
  };
}

/** Where whole sites are hidden, one norm bounds an update, and all its coordinates have one scale. */
function clipsOf(config: RunConfig, layout: ParameterLayout, firstStep: number) {
  const { privacy, aggregation } = config;
  if (privacy.mode !== "site") {
    return { tensorClips: tensorClips(config, layout, firstStep), l2Clip: Math.fround(aggregation.l2Clip) };
  }
  const l2Clip = Math.fround(privacy.clip);
  return { tensorClips: layout.parameters.map(() => l2Clip), l2Clip };
}
