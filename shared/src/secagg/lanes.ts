import { ConsiliumError } from "../errors.js";
import { roundStochastically } from "./quantize.js";

/** What follows the parameters in the masked vector: seen by the coordinator only as sums over the cohort. */

export const laneNames = ["weight", "loss", "steps", "clipped"] as const;
export type LaneName = (typeof laneNames)[number];

/** A site's mean loss is cut here, so that the lane keeps its resolution. */
export const largestLoss = 64;

/** What a site adds: images counted for the weight, mean loss over the round, steps taken, coordinates clipped. */
export interface SiteLanes {
  readonly weight: number;
  readonly meanLoss: number;
  readonly steps: number;
  readonly clipped: number;
}

/** Over the cohort: total weight, weighted mean loss, total steps, total clipped coordinates. */
export interface CohortLanes {
  readonly weight: number;
  readonly loss: number;
  readonly steps: number;
  readonly clipped: number;
}

export interface LaneScale {
  readonly weightCap: number;
  readonly ringBound: number;
}

/** @throws ConsiliumError "plan-invalid" unless every name is known, none repeats, and the weight is among them */
export function parseLanes(names: readonly string[]): LaneName[] {
  const lanes = names.map((name) => {
    const lane = laneNames.find((known) => known === name);
    if (lane === undefined) throw new ConsiliumError("plan-invalid", `the plan asks for an unknown lane ${name}`);
    return lane;
  });
  if (new Set(lanes).size !== lanes.length || !lanes.includes("weight")) {
    throw new ConsiliumError("plan-invalid", "the plan's lanes repeat or lack the weight");
  }
  return lanes;
}

export interface LaneEncoding extends LaneScale {
  /** Uniform 32-bit word that rounds the loss. */
  readonly random: number;
}

/** The ring element of one lane. */
export function encodeLane(name: LaneName, site: SiteLanes, encoding: LaneEncoding): number {
  const { weightCap, ringBound, random } = encoding;
  switch (name) {
    case "weight":
      return site.weight;
    case "loss": {
      const loss = Math.min(largestLoss, Math.max(0, site.meanLoss));
      return roundStochastically((site.weight / weightCap) * loss * (ringBound / largestLoss), random);
    }
    case "steps":
      return Math.min(ringBound, site.steps);
    case "clipped":
      return Math.min(ringBound, site.clipped);
  }
}

/**
 * Sums of the lanes back into figures; a lane that the plan lacks is 0.
 * @throws ConsiliumError "aggregate-invalid" for sums that honest sites cannot have produced
 */
export function decodeLanes(
  names: readonly LaneName[],
  sums: Int32Array,
  scale: LaneScale & { survivors: number; dimension: number },
): CohortLanes {
  const sumOf = (name: LaneName) => {
    const at = names.indexOf(name);
    return at < 0 ? 0 : sums[at]!;
  };
  const { weightCap, ringBound, survivors, dimension } = scale;
  const weight = sumOf("weight");
  if (weight <= 0 || weight > survivors * weightCap) throw badLane("weight", weight);
  const weightShareSum = weight / weightCap;
  const loss = (sumOf("loss") * largestLoss) / (ringBound * weightShareSum);
  if (loss < 0 || loss > largestLoss * (1 + survivors / (ringBound * weightShareSum))) throw badLane("loss", loss);
  const steps = sumOf("steps");
  if (steps < 0) throw badLane("steps", steps);
  const clipped = sumOf("clipped");
  if (clipped < 0 || clipped > survivors * dimension) throw badLane("clipped", clipped);
  return { weight, loss, steps, clipped };
}

function badLane(name: LaneName, value: number): ConsiliumError {
  return new ConsiliumError("aggregate-invalid", `the cohort's ${name} lane decodes to ${value}, which cannot be`, {
    remedy: "masks did not cancel or a site sent something else than its update; try the round again",
  });
}
