import { type Figures, isTermName, type TermName } from "@consilium/shared/secagg/figures.js";
import type { StepOutcome } from "../engine/stepper.js";

/** The method's terms over a round, as far as they are figures that a run watches. */

/** With fewer images at once, features vary in too few directions for anything to be said about the encoder. */
const fewestImages = 8;
const needImages: ReadonlySet<TermName> = new Set<TermName>(["featureSpread", "effectiveRank"]);

export type StepTerms = Partial<Record<TermName, number>>;

/**
 * A step's terms that are figures and finite. Spread and rank of features are left out where a step looks at fewer than
 * eight images at a time.
 * @param partImages images that go through the model together: the batch, or one of its equal parts
 */
export function termsOfStep({ finite, terms }: Pick<StepOutcome, "finite" | "terms">, partImages: number): StepTerms {
  if (!finite) return {};
  return Object.fromEntries(
    Object.entries(terms).filter(([name, value]) => {
      if (!isTermName(name) || !Number.isFinite(value)) return false;
      return partImages >= fewestImages || !needImages.has(name);
    }),
  );
}

/** Sum and number of the steps that had the term. */
export interface TermSum {
  readonly sum: number;
  readonly steps: number;
}

/** By the terms' names. */
export type TermSums = Readonly<Record<string, TermSum>>;

export function addTerms(before: TermSums, terms: StepTerms): TermSums {
  const added = Object.entries(terms).map(([name, value]): [string, TermSum] => {
    const { sum, steps } = before[name] ?? { sum: 0, steps: 0 };
    return [name, { sum: sum + value, steps: steps + 1 }];
  });
  return { ...before, ...Object.fromEntries(added) };
}

/** Means over the steps that had the term. */
export function meanTerms(sums: TermSums): Figures {
  return Object.fromEntries(Object.entries(sums).map(([name, { sum, steps }]) => [name, sum / steps]));
}
