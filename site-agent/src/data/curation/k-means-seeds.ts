import type { Random } from "@consilium/shared/random.js";
import { type FeatureRows, rowCount } from "./feature-rows.js";
import { squaredDistance } from "./nearest-centroid.js";

/**
 * First centroids by greedy k-means++ (Arthur and Vassilvitskii 2007, section 4): each next one is drawn with a
 * probability in proportion to the squared distance from those before it, the best of 2 + ln k draws being kept.
 * @returns clusters × width values; fewer distinct rows than clusters give equal centroids
 */
export function seedCentroids(rows: FeatureRows, clusters: number, random: Random): Float64Array<ArrayBuffer> {
  const { data, width } = rows;
  const draws = 2 + Math.floor(Math.log(clusters));
  const centroids = new Float64Array(clusters * width);
  const take = (row: number, cluster: number) =>
    centroids.set(data.subarray(row * width, (row + 1) * width), cluster * width);
  const first = random.integer(rowCount(rows));
  take(first, 0);
  let distances = distancesTo(rows, first);
  for (let cluster = 1; cluster < clusters; cluster++) {
    const candidates = drawByDistance(distances, draws, random);
    const { row, distances: closer } = bestOf(rows, candidates, distances);
    take(row, cluster);
    distances = closer;
  }
  return centroids;
}

function distancesTo(rows: FeatureRows, to: number, atMost?: Float32Array): Float32Array {
  const { data, width } = rows;
  const distances = new Float32Array(rowCount(rows));
  for (let row = 0; row < distances.length; row++) {
    const distance = squaredDistance(data, row * width, data, to * width, width);
    distances[row] = atMost === undefined ? distance : Math.min(distance, atMost[row]!);
  }
  return distances;
}

function sumOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/** Rows drawn with probabilities in proportion to their distances, in one pass. */
function drawByDistance(distances: Float32Array, draws: number, random: Random): number[] {
  const total = sumOf(distances);
  if (total === 0) return [random.integer(distances.length)];
  const marks = Array.from({ length: draws }, () => random.uniform() * total).sort((a, b) => a - b);
  const drawn: number[] = [];
  let sum = 0;
  for (let row = 0; row < distances.length && drawn.length < draws; row++) {
    sum += distances[row]!;
    while (drawn.length < draws && marks[drawn.length]! < sum) drawn.push(row);
  }
  return drawn.length === 0 ? [distances.length - 1] : drawn;
}

interface Candidate {
  readonly row: number;
  readonly distances: Float32Array;
  readonly sum: number;
}

function bestOf(rows: FeatureRows, candidates: readonly number[], before: Float32Array): Candidate {
  let best: Candidate | undefined;
  for (const row of new Set(candidates)) {
    const distances = distancesTo(rows, row, before);
    const sum = sumOf(distances);
    if (best === undefined || sum < best.sum) best = { row, distances, sum };
  }
  return best!;
}
