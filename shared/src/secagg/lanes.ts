import type { RunConfig } from "../config/run-config.js";
import { ConsiliumError } from "../errors.js";
import {
  type FigureName,
  type Figures,
  figureNames,
  figureRanges,
  isTermName,
  type TermName,
  termsOf,
} from "./figures.js";
import { roundStochastically } from "./quantize.js";

/** What follows the parameters in the masked vector: seen by the coordinator only as sums over the cohort. */

/** The lanes that every run has. */
export const laneNames = ["weight", "loss", "steps", "clipped"] as const;

type FigureLane = `term/${TermName}` | "updateNorm" | "cosine";

/** How many sites have a figure that not every site has. */
type CountLane = `sites/${FigureName}`;
export type LaneName = (typeof laneNames)[number] | FigureLane | CountLane;

/** A site's mean loss is cut here, so that the lane keeps its resolution. */
export const largestLoss = 64;

/** What a site adds: images counted for the weight, mean loss over the round, steps taken, coordinates clipped, figures. */
export interface SiteLanes {
  readonly weight: number;
  readonly meanLoss: number;
  readonly steps: number;
  readonly clipped: number;
  readonly figures: Figures;
}

/** Over the cohort: total weight, weighted mean loss, total steps, total clipped coordinates, means of figures. */
export interface CohortLanes {
  readonly weight: number;
  readonly loss: number;
  readonly steps: number;
  readonly clipped: number;
  readonly figures: Figures;
}

export interface LaneScale {
  readonly weightCap: number;
  readonly ringBound: number;
}

/** What a site's policy calls the lane: `terms` are all terms of the method, with their counts. */
export const lanePermissions = [...laneNames, "updateNorm", "cosine", "terms"] as const;

interface FigurePart {
  readonly figure: FigureName;
  readonly part: "value" | "count";
}

function valueLane(figure: FigureName): FigureLane {
  return isTermName(figure) ? `term/${figure}` : figure;
}

function lanesOfFigure(figure: FigureName): (FigureLane | CountLane)[] {
  const value = valueLane(figure);
  return figureRanges[figure].over === "sites" ? [value, `sites/${figure}`] : [value];
}

const figureLanes: ReadonlyMap<string, FigurePart> = new Map(
  figureNames.flatMap((figure): [string, FigurePart][] => {
    const [value, count] = lanesOfFigure(figure);
    return [
      [value!, { figure, part: "value" }],
      ...(count === undefined ? [] : ([[count, { figure, part: "count" }]] as [string, FigurePart][])),
    ];
  }),
);

/** @returns one of `lanePermissions` for a lane that there is, and an unknown lane's own name, which no policy has */
export function lanePermission(lane: string): string {
  const figure = figureLanes.get(lane)?.figure;
  if (figure === undefined) return lane;
  return isTermName(figure) ? "terms" : figure;
}

/**
 * What each site may add in a private run: the same for all, and known before. Nothing that images decide has noise.
 * Where a site as a whole is hidden, it does not say how many steps it took either.
 */
const privateLanes: Readonly<Record<"patient" | "site", readonly LaneName[]>> = {
  patient: ["weight", "steps"],
  site: ["weight"],
};

/** The lanes of a run's plans. */
export function lanesFor(
  config: Parameters<typeof termsOf>[0] & {
    readonly monitor: Pick<RunConfig["monitor"], "figures">;
    readonly privacy: Pick<RunConfig["privacy"], "mode">;
  },
): LaneName[] {
  if (config.privacy.mode !== "none") return [...privateLanes[config.privacy.mode]];
  if (config.monitor.figures === "loss") return [...laneNames];
  const figures: FigureName[] = ["updateNorm", "cosine", ...termsOf(config)];
  return [...laneNames, ...figures.flatMap(lanesOfFigure)];
}

function isLaneName(name: string): name is LaneName {
  return laneNames.some((known) => known === name) || figureLanes.has(name);
}

/**
 * @throws ConsiliumError "plan-invalid" unless every name is known, none repeats, the weight is among them, and every
 *   figure that not every site has comes with its count
 */
export function parseLanes(names: readonly string[]): LaneName[] {
  const lanes = names.map((name) => {
    if (!isLaneName(name)) throw new ConsiliumError("plan-invalid", `the plan asks for an unknown lane ${name}`);
    return name;
  });
  if (new Set(lanes).size !== lanes.length || !lanes.includes("weight")) {
    throw new ConsiliumError("plan-invalid", "the plan's lanes repeat or lack the weight");
  }
  const figures = new Set(lanes.flatMap((lane) => figureLanes.get(lane)?.figure ?? []));
  const missing = [...figures].flatMap(lanesOfFigure).find((lane) => !lanes.includes(lane));
  if (missing !== undefined) throw new ConsiliumError("plan-invalid", `the plan's lanes lack ${missing}`);
  return lanes;
}

export interface LaneEncoding extends LaneScale {
  /** Uniform 32-bit word that rounds what is not an integer. */
  readonly random: number;
}

/** The ring element of one lane, of magnitude `ringBound` at most. May be negative. */
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
    default:
      return encodeFigure(name, site, encoding);
  }
}

/** A site without a value adds nothing. */
function encodeFigure(lane: string, { figures, weight }: SiteLanes, { weightCap, ringBound, random }: LaneEncoding) {
  const { figure, part } = figureLanes.get(lane)!;
  const value = figures[figure];
  if (value === undefined || !Number.isFinite(value)) return 0;
  if (part === "count") return 1;
  const { least, most, over } = figureRanges[figure];
  const share = over === "images" ? weight / weightCap : 1;
  const cut = Math.min(most, Math.max(least, value));
  return roundStochastically(share * cut * (ringBound / largestMagnitude(figure)), random);
}

function largestMagnitude(figure: FigureName): number {
  const { least, most } = figureRanges[figure];
  return Math.max(-least, most);
}

/**
 * Sums of the lanes back into figures; of the lanes that every run has, one that the plan lacks is 0. A figure that one
 * site alone has is left out: it would be that site's own.
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
  const figures: Partial<Record<FigureName, number>> = {};
  for (const figure of figureNames.filter((one) => names.includes(valueLane(one)))) {
    const shares = figureRanges[figure].over === "images" ? weightShareSum : countOf(figure, { sumOf, survivors });
    const mean = decodeMean(figure, sumOf(valueLane(figure)), { shares, ringBound, survivors });
    if (figureRanges[figure].over === "images" || shares > 1) figures[figure] = mean;
  }
  return { weight, loss, steps, clipped, figures };
}

interface Counting {
  readonly sumOf: (name: LaneName) => number;
  readonly survivors: number;
}

function countOf(figure: FigureName, { sumOf, survivors }: Counting): number {
  const count = sumOf(`sites/${figure}`);
  if (count < 0 || count > survivors) throw badLane(`sites/${figure}`, count);
  return count;
}

interface MeanScale {
  /** Of the weight cap, or of a site. */
  readonly shares: number;
  readonly ringBound: number;
  readonly survivors: number;
}

/** Every site's rounding may carry the sum one beyond what the range allows. */
function decodeMean(figure: FigureName, sum: number, { shares, ringBound, survivors }: MeanScale): number {
  const { least, most } = figureRanges[figure];
  const unit = ringBound / largestMagnitude(figure);
  if (sum < least * unit * shares - survivors || sum > most * unit * shares + survivors) {
    throw badLane(valueLane(figure), sum);
  }
  return shares === 0 ? 0 : Math.min(most, Math.max(least, sum / (unit * shares)));
}

function badLane(name: LaneName, value: number): ConsiliumError {
  return new ConsiliumError("aggregate-invalid", `the cohort's ${name} lane decodes to ${value}, which cannot be`, {
    remedy: "masks did not cancel or a site sent something else than its update; try the round again",
  });
}
