import { readFileSync } from "node:fs";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { scalingOf, standardise } from "./feature-rows.js";
import { assignRows, kMeans } from "./k-means.js";
import { miniBatchKMeans } from "./mini-batch-k-means.js";
import { statisticCount, writeStatistics } from "./statistics.js";
import { blobs } from "./testing/blobs.js";
import { lacking, readReal, realRows } from "./testing/real-images.js";

interface Fixture {
  readonly made: string;
  readonly inertias: {
    folder: string;
    step: number;
    rows: number;
    clusters: number;
    bestOfTen: number;
    meanOfOne: number;
  }[];
}
const fixture = JSON.parse(readFileSync(new URL("./k-means.fixture.json", import.meta.url), "utf8")) as Fixture;

async function realStatistics(folder: string, step: number) {
  const images = await readReal(folder, realRows(folder, step), 96);
  const rows = { data: new Float32Array(images.length * statisticCount), width: statisticCount };
  for (const [index, image] of images.entries()) writeStatistics(image, rows.data, index * statisticCount);
  standardise(rows, scalingOf(rows));
  return rows;
}

describe.each(["slides/pcam96", "derm/ham10000"])("kMeans on the images of %s", (folder) => {
  const reason = lacking(folder);
  const title = `is as good as scikit-learn's${reason === undefined ? "" : ` (skipped: ${reason})`}`;
  it.skipIf(reason !== undefined)(title, async () => {
    const known = fixture.inertias.filter((one) => one.folder === folder);
    const rows = await realStatistics(folder, known[0]!.step);
    expect(rows.data).toHaveLength(known[0]!.rows * statisticCount);
    for (const { clusters, bestOfTen, meanOfOne } of known) {
      const runs = Array.from({ length: 20 }, (_, seed) => kMeans(rows, { clusters, random: randomFor("run", seed) }));
      const inertias = runs.map((run) => run.inertia);
      const mean = inertias.reduce((sum, inertia) => sum + inertia) / runs.length;
      expect(mean).toBeLessThan(1.01 * meanOfOne);
      // Of so many starts the best ones alone differ by a percent from ten to ten.
      expect(Math.min(...inertias)).toBeLessThan(1.01 * bestOfTen);
      expect(Math.min(...runs.flatMap(({ counts }) => [...counts]))).toBeGreaterThan(0);
      const inBatches = miniBatchKMeans(rows, { clusters, random: randomFor("test", clusters), batches: 50 });
      expect(inBatches.inertia).toBeLessThan(1.1 * bestOfTen);
    }
  });
});

describe.each([
  ["kMeans", kMeans],
  ["miniBatchKMeans", miniBatchKMeans],
] as const)("%s", (_, cluster) => {
  it("finds what lies apart", () => {
    const found = cluster(blobs(600, 6, 4), { clusters: 6, random: randomFor("apart") });
    expect([...found.counts]).toEqual([100, 100, 100, 100, 100, 100]);
    for (let row = 6; row < 600; row++) expect(found.assignment[row]).toBe(found.assignment[row % 6]);
    expect(found.inertia).toBeLessThan(600 * 4 * 0.02);
  });

  it("is decided by the generator", () => {
    const run = (seed: number) => cluster(blobs(300, 12, 3), { clusters: 7, random: randomFor("run", seed) }).centroids;
    expect(run(1)).toEqual(run(1));
    expect(run(2)).not.toEqual(run(1));
  });

  it("bears rows that are all the same", () => {
    const found = cluster({ data: new Float32Array(60).fill(3), width: 3 }, { clusters: 4, random: randomFor("same") });
    expect(found.inertia).toBe(0);
    expect([...found.centroids].every((value) => value === 3)).toBe(true);
  });

  it("refuses more clusters than rows", () => {
    expect(() => cluster(blobs(3, 1, 2), { clusters: 4, random: randomFor("few") })).toThrow(
      "3 patches are too few for 4 clusters",
    );
  });
});

describe("kMeans, when a cluster loses its rows", () => {
  it("goes on at the row that is farthest from its centroid", () => {
    const rows = { data: Float32Array.of(0, 0.1, 0.2, 50, 51, 90), width: 1 };
    for (let seed = 0; seed < 20; seed++) {
      const found = kMeans(rows, { clusters: 3, random: randomFor(seed), restarts: 3 });
      expect([...found.counts].sort((a, b) => a - b)).toEqual([1, 2, 3]);
    }
  });
});

describe("assignRows", () => {
  it("takes the first of equally near centroids, and a centroid that is a row", () => {
    const rows = { data: Float32Array.of(1, 3, 2), width: 1 };
    expect([...assignRows(rows, Float64Array.of(1, 1, 3)).assignment]).toEqual([0, 2, 0]);
  });
});

describe("standardise", () => {
  it("brings columns to mean 0 and deviation 1, and leaves constant ones at 0", () => {
    const rows = { data: Float32Array.of(1, 7, 2, 7, 3, 7, 6, 7), width: 2 };
    standardise(rows, scalingOf(rows));
    const { mean, deviation } = scalingOf(rows);
    for (const value of mean) expect(value).toBeCloseTo(0, 6);
    expect(deviation[0]).toBeCloseTo(1, 6);
    expect([...rows.data].filter((_, at) => at % 2 === 1)).toEqual([0, 0, 0, 0]);
  });
});
