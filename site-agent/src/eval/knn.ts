import { type FeatureSet, largestPerRow } from "./feature-set.js";
import type { Labels } from "./metrics.js";

export interface KnnJob {
  readonly train: FeatureSet;
  readonly trainLabels: Labels;
  readonly queries: FeatureSet;
  readonly classes: number;
  /** Neighbours that vote; all, where there are fewer. */
  readonly k: number;
  /** `softmax` weighs a vote by its similarity, exp(similarity / temperature); absent: softmax. */
  readonly votes?: "softmax" | "uniform";
  readonly temperature?: number;
}

export interface KnnPrediction {
  readonly predicted: Int32Array;
  /** [queries, classes], each row summing to one. */
  readonly scores: Float32Array;
}

export interface Neighbours {
  /** Rows of the training set, most similar first. */
  readonly rows: Int32Array;
  readonly similarities: Float64Array;
}

function unitRows({ count, width, values }: FeatureSet): Float32Array {
  const unit = new Float32Array(values.length);
  for (let row = 0; row < count; row++) {
    let squares = 0;
    for (let at = row * width; at < (row + 1) * width; at++) squares += values[at]! ** 2;
    const scale = 1 / Math.max(1e-12, Math.sqrt(squares));
    for (let at = row * width; at < (row + 1) * width; at++) unit[at] = values[at]! * scale;
  }
  return unit;
}

/** Keeps the best of what it is offered, sorted. */
function offer({ rows, similarities }: Neighbours, row: number, similarity: number): void {
  let place = rows.length - 1;
  if (!(similarity > similarities[place]!)) return;
  for (; place > 0 && similarity > similarities[place - 1]!; place--) {
    rows[place] = rows[place - 1]!;
    similarities[place] = similarities[place - 1]!;
  }
  rows[place] = row;
  similarities[place] = similarity;
}

/** The k most similar training rows of every query, by cosine. */
export function nearest(train: FeatureSet, queries: FeatureSet, k: number): Neighbours[] {
  const [known, asked] = [unitRows(train), unitRows(queries)];
  const { width } = train;
  return Array.from({ length: queries.count }, (_, query) => {
    const kept = Math.min(k, train.count);
    const best = { rows: new Int32Array(kept), similarities: new Float64Array(kept).fill(-Infinity) };
    for (let row = 0; row < train.count; row++) {
      let similarity = 0;
      for (let column = 0; column < width; column++) {
        similarity += known[row * width + column]! * asked[query * width + column]!;
      }
      offer(best, row, similarity);
    }
    return best;
  });
}

/** Weights of votes, summing to one. */
export function voteWeights(similarities: Float64Array, temperature: number): Float64Array {
  const most = similarities[0] ?? 0;
  const weights = similarities.map((similarity) => Math.exp((similarity - most) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Labels of the queries by the vote of their nearest neighbours. */
export function knnPredict(job: KnnJob): KnnPrediction {
  const { train, trainLabels, queries, classes, k, votes = "softmax", temperature = 0.07 } = job;
  const scores = new Float32Array(queries.count * classes);
  for (const [query, { rows, similarities }] of nearest(train, queries, k).entries()) {
    const weights =
      votes === "softmax" ? voteWeights(similarities, temperature) : similarities.map(() => 1 / rows.length);
    for (const [place, row] of rows.entries()) scores[query * classes + trainLabels[row]!]! += weights[place]!;
  }
  return { predicted: largestPerRow(scores, classes), scores };
}
