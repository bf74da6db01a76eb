import { largestPerRow } from "./feature-set.js";

/** Labels are class indices from 0. */
export type Labels = ArrayLike<number>;

export function accuracy(truth: Labels, predicted: Labels): number {
  let right = 0;
  for (let index = 0; index < truth.length; index++) if (truth[index] === predicted[index]) right += 1;
  return right / truth.length;
}

interface ClassCounts {
  /** Right predictions of the class. */
  hits: number;
  truths: number;
  predictions: number;
}

function countClasses(truth: Labels, predicted: Labels): readonly ClassCounts[] {
  const counts = new Map<number, ClassCounts>();
  const of = (label: number): ClassCounts => {
    const known = counts.get(label);
    if (known !== undefined) return known;
    const fresh = { hits: 0, truths: 0, predictions: 0 };
    counts.set(label, fresh);
    return fresh;
  };
  for (let index = 0; index < truth.length; index++) {
    const [wanted, given] = [truth[index]!, predicted[index]!];
    of(wanted).truths += 1;
    of(given).predictions += 1;
    if (wanted === given) of(wanted).hits += 1;
  }
  return [...counts.values()];
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean recall over the classes that occur in the truth. */
export function balancedAccuracy(truth: Labels, predicted: Labels): number {
  const present = countClasses(truth, predicted).filter(({ truths }) => truths > 0);
  return meanOf(present.map(({ hits, truths }) => hits / truths));
}

/** Mean F1 over the classes that occur in the truth or the predictions. */
export function macroF1(truth: Labels, predicted: Labels): number {
  return meanOf(
    countClasses(truth, predicted).map(({ hits, truths, predictions }) => (2 * hits) / (truths + predictions)),
  );
}

/** Ranks from 1, equal values sharing the mean of theirs. */
function midranks(values: Float64Array): Float64Array {
  const order = Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end += 1;
    for (let index = start; index < end; index++) ranks[order[index]!] = (start + end + 1) / 2;
    start = end;
  }
  return ranks;
}

/** Mann and Whitney: how often a member of the class scores above one of the rest; undefined without either. */
function aurocOf(label: number, truth: Labels, column: Float64Array): number | undefined {
  const ranks = midranks(column);
  let members = 0;
  let rankSum = 0;
  for (let index = 0; index < truth.length; index++) {
    if (truth[index] !== label) continue;
    members += 1;
    rankSum += ranks[index]!;
  }
  const pairs = members * (truth.length - members);
  return pairs === 0 ? undefined : (rankSum - (members * (members + 1)) / 2) / pairs;
}

/**
 * Mean over the classes of the area under each class-against-rest curve. `scores` [count, classes]. Classes without
 * members, or without others, are left out; NaN when none is left.
 */
export function macroAuroc(truth: Labels, scores: ArrayLike<number>): number {
  const classes = scores.length / truth.length;
  const areas = Array.from({ length: classes }, (_, label) => {
    const column = Float64Array.from({ length: truth.length }, (_value, row) => scores[row * classes + label]!);
    return aurocOf(label, truth, column);
  });
  return meanOf(areas.filter((area) => area !== undefined));
}

/** Shares between 0 and 1. */
export interface Scores {
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly macroF1: number;
  readonly macroAuroc: number;
}

/** @param scores [count, classes]; the largest of a row is the prediction */
export function scoreAll(truth: Labels, scores: ArrayLike<number>): Scores {
  const predicted = largestPerRow(scores, scores.length / truth.length);
  return {
    accuracy: accuracy(truth, predicted),
    balancedAccuracy: balancedAccuracy(truth, predicted),
    macroF1: macroF1(truth, predicted),
    macroAuroc: macroAuroc(truth, scores),
  };
}
