import { describe, expect, it } from "vitest";
import { nextCentroids, sitePass } from "./federated-k-means.js";

const plain = (values: Float64Array | Float32Array) => [...values];

describe("a pass of federated k-means", () => {
  const sites = [
    { data: Float32Array.of(0, 1, 2, 50), width: 1 },
    { data: Float32Array.of(1, 51), width: 1 },
  ];
  const before = Float64Array.of(0, 40, 1000);
  const passes = (minCell: number) => sites.map((rows) => sitePass(rows, before, { minCell }));
  const mean = (of: (pass: ReturnType<typeof sitePass>) => Float64Array | Float32Array, minCell = 1) => {
    const [first, second] = passes(minCell).map(of);
    return first!.map((value, at) => (4 * value + 2 * second![at]!) / 6);
  };
  const pooled = (minCell = 1) => {
    return {
      sums: mean(({ sums }) => sums, minCell),
      counts: mean(({ counts }) => counts, minCell),
      images: 6,
      before,
    };
  };

  it("has means over the site's images", () => {
    expect(plain(passes(1)[0]!.counts)).toEqual([0.75, 0.25, 0]);
    expect(plain(passes(1)[0]!.sums)).toEqual([0.75, 12.5, 0]);
    expect(passes(1)[0]!.inertia).toBe((0 + 1 + 4 + 100) / 4);
  });

  it("keeps the centroid of a cell with fewer images of all sites than the minimum", () => {
    expect(plain(nextCentroids(pooled(), { minImages: 3 }))).toEqual([1, 40, 1000]);
    expect(plain(nextCentroids(pooled(), { minImages: 1 }))).toEqual([1, 50.5, 1000]);
  });

  it("leaves out a site's cells with fewer images than its own minimum, and only these", () => {
    const [first, second] = passes(2);
    expect([plain(first!.counts), plain(second!.counts)]).toEqual([
      [0.75, 0, 0],
      [0, 0, 0],
    ]);
    expect([plain(first!.sums), plain(second!.sums)]).toEqual([
      [0.75, 0, 0],
      [0, 0, 0],
    ]);
    expect(first!.inertia).toBe(passes(1)[0]!.inertia);
    expect(plain(nextCentroids(pooled(2), { minImages: 1 }))).toEqual([1, 40, 1000]);
  });
});
