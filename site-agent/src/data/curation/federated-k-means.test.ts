import { randomFor } from "@consilium/shared/random.js";
import { ringBoundOf } from "@consilium/shared/secagg/protocol.js";
import { type ClippedTensor, decodeMean, encodeDelta } from "@consilium/shared/secagg/quantize.js";
import { describe, expect, it } from "vitest";
import { type FeatureRows, scalingOf, standardise } from "./feature-rows.js";
import {
  addSums,
  fitsBounds,
  limitFeatures,
  nextCentroids,
  type SumBounds,
  sumsOf,
  sumTensors,
} from "./federated-k-means.js";
import { firstCentroids, momentsOf, momentTensors, pooledMoments } from "./federated-scaling.js";
import { assignRows, memberSums } from "./k-means.js";
import { statisticCount, writeStatistics } from "./statistics.js";
import { blobs } from "./testing/blobs.js";
import { lacking, readReal, realRows } from "./testing/real-images.js";

const width = statisticCount;
const bounds: SumBounds = { mostImages: 2000, featureLimit: 10 };

/** One pass on the pooled rows. */
function centralPass(rows: FeatureRows, centroids: Float64Array<ArrayBuffer>) {
  const { assignment, counts } = assignRows(rows, centroids);
  const sums = memberSums(rows, assignment, counts.length);
  return centroids.map((value, at) => {
    const count = counts[Math.floor(at / rows.width)]!;
    return count === 0 ? value : sums[at]! / count;
  });
}

function largestDifference(a: Float64Array, b: Float64Array): number {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);
}

/** Through the fixed point of the masked sum, whose masks cancel. */
function maskedSum(vectors: readonly Float64Array[], tensors: readonly ClippedTensor[]): Float64Array {
  const ringBound = ringBoundOf(vectors.length);
  const sum = new Int32Array(vectors[0]!.length);
  for (const [site, vector] of vectors.entries()) {
    const words = new Uint32Array(vector.length);
    const roundingKey = new Uint8Array(32).fill(site + 1);
    const clipped = encodeDelta(Float32Array.from(vector), 0, words, {
      tensors,
      weightShare: 1,
      ringBound,
      roundingKey,
    });
    expect(clipped).toBe(0);
    for (const [at, word] of words.entries()) sum[at] = (sum[at]! + word) | 0;
  }
  const mean = new Float32Array(sum.length);
  decodeMean(sum, 0, mean, { tensors, ringBound, weightShareSum: vectors.length, survivors: vectors.length });
  return Float64Array.from(mean, (value) => value * vectors.length);
}

const folder = "derm/ham10000";
const reason = lacking(folder);

/** Statistics of images by site, and of all. */
async function realSites() {
  const rows = realRows(folder, 3);
  const images = await readReal(folder, rows, 96);
  const featuresOf = (chosen: readonly number[]): FeatureRows => {
    const data = new Float32Array(chosen.length * width);
    for (const [at, index] of chosen.entries()) writeStatistics(images[index]!, data, at * width);
    return { data, width };
  };
  const names = [...new Set(rows.map((row) => row["site_noniid"]!))];
  const sites = names.map((name) => featuresOf([...rows.keys()].filter((at) => rows[at]!["site_noniid"] === name)));
  const order = sites.flatMap(({ data }) => [...data]);
  return { sites, pooled: { data: Float32Array.from(order), width } };
}

describe(`federated k-means${reason === undefined ? "" : ` (real images skipped: ${reason})`}`, () => {
  it.skipIf(reason !== undefined)("has the centroids of the pooled images of unlike sites", async () => {
    const { sites, pooled } = await realSites();
    expect(sites).toHaveLength(4);
    const moments = pooledMoments(addSums(sites.map(momentsOf)));
    const { scaling } = moments;
    const central = scalingOf(pooled);
    for (let column = 0; column < width; column++) {
      expect(scaling.mean[column]).toBeCloseTo(central.mean[column]!, 5);
      expect(scaling.deviation[column]! / central.deviation[column]!).toBeCloseTo(1, 5);
    }
    const masked = pooledMoments(maskedSum(sites.map(momentsOf), momentTensors(bounds)));
    for (const [column, deviation] of masked.scaling.deviation.entries()) {
      expect(Math.abs(deviation / scaling.deviation[column]! - 1)).toBeLessThan(0.005);
    }
    for (const rows of [...sites, pooled]) {
      standardise(rows, scaling);
      limitFeatures(rows, bounds);
      expect(fitsBounds(rows, bounds)).toBe(true);
    }
    const first = firstCentroids(moments, 20, randomFor("first"));
    expect(assignRows(pooled, first).counts.filter((count) => count > 0).length).toBeGreaterThan(8);
    let [federated, alone, throughMasks] = [first, first, first];
    const tensors = sumTensors({ clusters: 20, width }, bounds);
    for (let pass = 0; pass < 12; pass++) {
      const vectors = sites.map((rows) => sumsOf(rows, federated));
      federated = nextCentroids(addSums(vectors), federated, { minImages: 1 }).centroids;
      alone = centralPass(pooled, alone);
      throughMasks = nextCentroids(maskedSum(vectors, tensors), throughMasks, { minImages: 1 }).centroids;
    }
    expect(largestDifference(federated, alone)).toBeLessThan(1e-5);
    // Of a cell of few images, the rounding of the masked sum may be seen.
    expect(largestDifference(throughMasks, federated)).toBeLessThan(0.005);
    expect(largestDifference(first, federated)).toBeGreaterThan(0.5);
  });

  it("is the same for every split of the images", () => {
    const pooled = blobs(900, 5, 6);
    standardise(pooled, scalingOf(pooled));
    const part = (from: number, to: number) => ({ data: pooled.data.slice(from * 6, to * 6), width: 6 });
    const splits = [
      [part(0, 900)],
      [part(0, 10), part(10, 500), part(500, 900)],
      [part(0, 899), part(899, 900), part(900, 900)],
    ];
    const ends = splits.map((sites) => {
      let centroids: Float64Array<ArrayBuffer> = Float64Array.from(pooled.data.subarray(0, 5 * 6));
      for (let pass = 0; pass < 5; pass++) {
        const sum = addSums(sites.map((rows) => sumsOf(rows, centroids)));
        centroids = nextCentroids(sum, centroids, { minImages: 1 }).centroids;
      }
      return centroids;
    });
    for (const end of ends) expect(largestDifference(end, ends[0]!)).toBeLessThan(1e-9);
  });

  it("keeps the centroid of a cell with fewer images than the minimum", () => {
    const sites = [
      { data: Float32Array.of(0, 1, 2, 50), width: 1 },
      { data: Float32Array.of(1, 51), width: 1 },
    ];
    const before = Float64Array.of(0, 40, 1000);
    const sum = addSums(sites.map((rows) => sumsOf(rows, before)));
    const next = nextCentroids(sum, before, { minImages: 3 });
    expect([...next.counts]).toEqual([4, 2, 0]);
    expect([...next.centroids]).toEqual([1, 40, 1000]);
    expect(next.suppressed).toEqual([1, 2]);
    expect([...nextCentroids(sum, before, { minImages: 0 }).centroids]).toEqual([1, 50.5, 1000]);
  });
});
