import type { RunConfig } from "../config/run-config.js";
import { unreachable } from "../errors.js";

/** What a run watches beside its loss: each figure is a number of a site's round that travels only as a masked sum. */

export interface FigureRange {
  /** A site's value is cut to this range, so that its lane keeps its resolution. */
  readonly least: number;
  readonly most: number;
  /**
   * What the cohort's figure is a mean over. "images": weighted like the loss; every site has a value. "sites": every
   * site that has a value counts alike, since the weights of a few sites that have one would say how many images they have.
   */
  readonly over: "images" | "sites";
}

const perImage = (least: number, most: number): FigureRange => ({ least, most, over: "images" });
const perSite = (least: number, most: number): FigureRange => ({ least, most, over: "sites" });

/** The terms of methods, by the names that methods give them. */
const termRanges = {
  dino: perImage(0, 64),
  ibot: perImage(0, 64),
  /** Minus the mean log distance, summed over two views: below zero where features are far apart. */
  koleo: perImage(-64, 64),
  reconstruction: perImage(0, 64),
  contrastive: perImage(0, 64),
  /** Mean squared error of colours between 0 and 1. */
  pixels: perImage(0, 4),
  histogram: perImage(0, 16),
  proximal: perImage(0, 64),
  /** In nats: at most ln K, and e^16 prototypes are more than any head has. */
  teacherEntropy: perImage(0, 16),
  /** Never below zero but for rounding. */
  teacherKl: perImage(-1, 64),
  featureSpread: perSite(0, 1),
  /** At most the width of the widest encoder. */
  effectiveRank: perSite(0, 4096),
} as const satisfies Readonly<Record<string, FigureRange>>;

export type TermName = keyof typeof termRanges;

export const figureRanges = {
  ...termRanges,
  /** L2 norm of what the site learned, before it is cut to the plan's largest. */
  updateNorm: perImage(0, 1024),
  /** Of the angle between the site's last update and what the cohort made of that round. */
  cosine: perSite(-1, 1),
} as const satisfies Readonly<Record<string, FigureRange>>;

export type FigureName = keyof typeof figureRanges;

/** Figures that have a value. */
export type Figures = Readonly<Partial<Record<FigureName, number>>>;

export const termNames = Object.keys(termRanges) as readonly TermName[];
export const figureNames = Object.keys(figureRanges) as readonly FigureName[];

export function isTermName(name: string): name is TermName {
  return Object.hasOwn(termRanges, name);
}

export function isFigureName(name: string): name is FigureName {
  return Object.hasOwn(figureRanges, name);
}

/** Those of a record that are figures and finite numbers. */
export function knownFigures(values: Readonly<Record<string, number | undefined>>): Figures {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => isFigureName(name) && Number.isFinite(value)),
  );
}

const spread = ["featureSpread", "effectiveRank"] as const;
const teacher = ["teacherEntropy", "teacherKl"] as const;

/** The terms that a run's training step has, in the order of their lanes. */
export function termsOf(config: {
  readonly method: Pick<RunConfig["method"], "name">;
  readonly aggregation: { readonly strategy: Pick<RunConfig["aggregation"]["strategy"], "name"> };
}): TermName[] {
  const own = methodTerms(config.method.name);
  return config.aggregation.strategy.name === "fedprox" ? [...own, "proximal"] : own;
}

function methodTerms(name: RunConfig["method"]["name"]): TermName[] {
  switch (name) {
    case "mae":
    case "clusters":
      return [];
    case "simclr":
    case "byol":
      return [...spread];
    case "dino":
      return ["dino", ...spread, ...teacher];
    case "ibot":
      return ["dino", "ibot", ...spread, ...teacher];
    case "dinov2":
      return ["dino", "ibot", "koleo", ...spread, ...teacher];
    case "gmml":
      return ["reconstruction", ...spread];
    case "sit":
      return ["reconstruction", "contrastive", ...spread];
    case "colorme":
      return ["pixels", "histogram", ...spread];
    default:
      return unreachable(name);
  }
}
