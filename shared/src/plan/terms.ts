import type { RunConfig } from "../config/run-config.js";
import { planWeightCap } from "../config/site-weight.js";
import type { ParameterLayout } from "../params/layout.js";
import type { RoundPlan } from "../protocol.js";
import { lanesFor } from "../secagg/lanes.js";
import { tensorClips } from "./clips.js";

/** What of a plan follows from the run and the round: a site works it out again and follows no plan that says otherwise. */
export type PlanTerms = Pick<RoundPlan, "tensorClips" | "l2Clip" | "weightCap" | "lanes" | "firstStep">;

/**
 * @param layout the checkpoint's
 * @param round counted from 1
 */
export function planTerms(config: RunConfig, layout: ParameterLayout, round: number): PlanTerms {
  const firstStep = (round - 1) * config.training.stepsPerRound;
  return {
    tensorClips: tensorClips(config, layout, firstStep),
    l2Clip: Math.fround(config.aggregation.l2Clip),
    weightCap: planWeightCap(config),
    lanes: lanesFor(config),
    firstStep,
  };
}
