import { clusterTensors, productCount, statisticWidth } from "@consilium/shared/params/cluster-tensors.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { type ClusterRun, cellsOfRun, clusterRound } from "./cluster-round.js";
import { type FeatureRows, rowCount, scalingOf, standardise } from "./feature-rows.js";
import { limitFeatures } from "./federated-k-means.js";
import { assignRows, memberSums } from "./k-means.js";
import { statisticCount, statisticRanges, writeStatistics } from "./statistics.js";
import { fixedPointMean, plainMean, runClusters } from "./testing/cluster-federation.js";
import { lacking, readReal, realRows } from "./testing/real-images.js";

const width = statisticCount;

function runOf(over: Partial<ClusterRun["method"]> = {}): ClusterRun {
  return { method: { name: "clusters", clusters: 6, minImages: 1, featureLimit: 10, ...over }, seed: 1 };
}

/** Statistics around centres, within their ranges. */
function drawnRows(count: number, centres = 4): FeatureRows {
  const random = randomFor("rows");
  const places = Array.from({ length: centres * width }, () => 0.4 * (2 * random.uniform() - 1));
  const data = Float32Array.from({ length: count * width }, (_, at) => {
    const place = places[((Math.floor(at / width) % centres) * width + (at % width)) as number]!;
    return (place + 0.03 * random.normal()) * statisticRanges[at % width]!;
  });
  return { data, width };
}

const part = ({ data }: FeatureRows, from: number, to: number): FeatureRows => {
  return { data: data.slice(from * width, to * width), width };
};

/** Lloyd's on the pooled rows, from given centroids; an empty cell stays. */
function centralCells(
  rows: FeatureRows,
  from: readonly (readonly number[])[],
  passes: number,
  scaling = scalingOf(rows),
) {
  const own = { data: rows.data.slice(), width };
  standardise(own, scaling);
  limitFeatures(own, 10);
  let centroids = Float64Array.from(from.flat());
  for (let pass = 0; pass < passes; pass++) {
    const { assignment, counts } = assignRows(own, centroids);
    const sums = memberSums(own, assignment, counts.length);
    centroids = centroids.map((value, at) => {
      const count = counts[Math.floor(at / width)]!;
      return count === 0 ? value : sums[at]! / count;
    });
  }
  return [...centroids];
}

const largestDifference = (a: readonly number[], b: readonly number[]) => {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);
};

/** The centroids that the first pass assigned by. */
function firstOf(run: ClusterRun, vector: Float32Array): number[][] {
  const from = statisticWidth + productCount;
  return Array.from({ length: run.method.clusters }, (_, cell) => {
    return [...vector.subarray(from + cell * width, from + (cell + 1) * width)];
  });
}

describe("a run of clusters", () => {
  const rows = drawnRows(120);
  const sites = [part(rows, 0, 20), part(rows, 20, 90), part(rows, 90, 120)];

  it("knows how many statistics there are", () => {
    expect([statisticWidth, productCount]).toEqual([statisticCount, (statisticCount * (statisticCount + 1)) / 2]);
  });

  it("has the scaling and the centroids of Lloyd's k-means on the pooled images", () => {
    const run = runOf();
    const { states, losses } = runClusters(run, { sites, rounds: 6, minCell: 1, meanOf: plainMean });
    const model = cellsOfRun(run, states.at(-1)!);
    const { mean, deviation } = scalingOf(rows);
    expect(largestDifference(model.mean, [...mean])).toBeLessThan(1e-5);
    expect(largestDifference(model.deviation, [...deviation])).toBeLessThan(1e-4);
    const central = centralCells(rows, firstOf(run, states[2]!.vector), 5);
    expect(largestDifference(model.centroids.flat(), central)).toBeLessThan(1e-4);
    expect(losses[0]).toBe(1);
    expect(losses.at(-1)).toBeLessThan(0.6);
    for (const [pass, loss] of losses.entries()) expect(loss).toBeLessThanOrEqual((losses[pass - 1] ?? 1) + 1e-9);
  });

  it("is the same for every split of the images", () => {
    const run = runOf();
    const split = (...ends: number[]) => ends.map((end, at) => part(rows, at === 0 ? 0 : ends[at - 1]!, end));
    const models = [split(120), split(60, 120), split(10, 30, 70, 120)].map((some) => {
      return cellsOfRun(
        run,
        runClusters(run, { sites: some, rounds: 4, minCell: 1, meanOf: plainMean }).states.at(-1)!,
      );
    });
    for (const model of models) {
      expect(largestDifference(model.centroids.flat(), models[0]!.centroids.flat())).toBeLessThan(1e-4);
    }
  });

  it("keeps the scaling through all rounds, though other sites may take part", () => {
    const run = runOf();
    const { states } = runClusters(run, { sites, rounds: 2, minCell: 1, meanOf: plainMean });
    const moments = statisticWidth + productCount;
    const later = clusterRound({ run, checkpoint: states[2]!, rows: part(rows, 0, 12), minCell: 1 });
    expect(later.vector.subarray(0, moments)).toEqual(states[1]!.vector.subarray(0, moments));
  });

  it("stays within the ranges that bound what a site sends", () => {
    const run = runOf({ featureLimit: 1 });
    const { states } = runClusters(run, { sites, rounds: 4, minCell: 1, meanOf: plainMean });
    let offset = 0;
    for (const { shape, range } of clusterTensors(run.method)) {
      const size = shape.reduce((product, extent) => product * extent, 1);
      for (const { vector } of states) {
        expect(vector.subarray(offset, offset + size).every((value) => Math.abs(value) <= range * 1.000001)).toBe(true);
      }
      offset += size;
    }
  });

  it("says which rounds have no cells, and refuses a site with too few images", () => {
    const run = runOf();
    const { states } = runClusters(run, { sites, rounds: 1, minCell: 1, meanOf: plainMean });
    for (const state of states) {
      expect(() => cellsOfRun(run, state)).toThrow(expect.objectContaining({ code: "not-found" }));
    }
    const few = () => clusterRound({ run, checkpoint: states[0]!, rows: part(rows, 0, 9), minCell: 10 });
    expect(few).toThrow(expect.objectContaining({ code: "not-enough-data" }));
  });
});

const folder = "derm/ham10000";
const reason = lacking(folder);

describe(`clusters of photographs${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  it.skipIf(reason !== undefined)("are those of the pooled images of unlike sites, up to the fixed point", async () => {
    const table = realRows(folder, 3);
    const images = await readReal(folder, table, 96);
    const names = [...new Set(table.map((row) => row["site_noniid"]!))];
    const sites = names.map((name) => {
      const chosen = [...table.keys()].filter((at) => table[at]!["site_noniid"] === name);
      const data = new Float32Array(chosen.length * width);
      for (const [at, index] of chosen.entries()) writeStatistics(images[index]!, data, at * width);
      return { data, width };
    });
    const pooled = { data: Float32Array.from(sites.flatMap(({ data }) => [...data])), width };
    const run = runOf({ clusters: 20 });
    const cap = Math.max(...sites.map(rowCount));
    const common = { sites, rounds: 8, minCell: 1 };
    const masked = runClusters(run, { ...common, meanOf: fixedPointMean(run.method, cap) });
    const models = masked.states.slice(2).map((state) => cellsOfRun(run, state));
    const [first] = models;
    const { deviation } = scalingOf(pooled);
    const relative = first!.deviation.map((value, column) => value / deviation[column]!);
    expect(largestDifference(relative, new Array<number>(width).fill(1))).toBeLessThan(1e-3);
    // Pass by pass: an image that is as near to one centroid as to another may go either way, and all else follows.
    const scaled = { mean: Float64Array.from(first!.mean), deviation: Float64Array.from(first!.deviation) };
    const before = [firstOf(run, masked.states[2]!.vector), ...models.map(({ centroids }) => centroids)];
    for (const [pass, model] of models.entries()) {
      const central = centralCells(pooled, before[pass]!, 1, scaled);
      expect(largestDifference(model.centroids.flat(), central)).toBeLessThan(1e-4);
    }
    expect(masked.losses.at(-1)).toBeLessThan(0.6);
  });
});
