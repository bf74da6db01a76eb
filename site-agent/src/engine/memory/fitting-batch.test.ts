import { describe, expect, it } from "vitest";
import { fittingBatch, largestBatch } from "./fitting-batch.js";

const line = (batch: number) => 1000 + 10 * batch;

describe("largestBatch", () => {
  it("solves the line, also above the batch size", () => {
    expect(largestBatch({ batchSize: 8, available: 1235, needOf: line })).toBe(23);
    expect(largestBatch({ batchSize: 1, available: 1235, needOf: line })).toBe(23);
    expect(largestBatch({ batchSize: 64, available: 1235, needOf: line })).toBe(23);
    expect(largestBatch({ batchSize: 8, available: 900, needOf: line })).toBe(0);
  });
});

describe("largestBatch of a need with a floor", () => {
  const floored = (batch: number) => Math.max(5000, line(batch));

  it("looks above the floor", () => {
    const found = largestBatch({ batchSize: 4, available: 6000, needOf: floored });
    expect(floored(found)).toBeLessThanOrEqual(6000);
    expect(found).toBeGreaterThan(450);
    expect(largestBatch({ batchSize: 4, available: 4000, needOf: floored })).toBe(0);
  });

  it("gives up where nothing grows", () => {
    expect(largestBatch({ batchSize: 4, available: 6000, needOf: () => 5000 })).toBeGreaterThan(100_000);
  });
});

describe("fittingBatch", () => {
  it("keeps a batch that fits", () => {
    expect(fittingBatch({ batchSize: 8, available: 1080, needOf: line })).toBe(8);
  });

  it("finds the largest below", () => {
    expect(fittingBatch({ batchSize: 64, available: 1235, needOf: line })).toBe(23);
    expect(fittingBatch({ batchSize: 64, available: 1009, needOf: line })).toBe(0);
    expect(fittingBatch({ batchSize: 1, available: 5, needOf: line })).toBe(0);
  });

  it("keeps to multiples", () => {
    expect(fittingBatch({ batchSize: 64, multipleOf: 8, available: 1235, needOf: line })).toBe(16);
    expect(fittingBatch({ batchSize: 64, multipleOf: 32, available: 1235, needOf: line })).toBe(0);
    expect(fittingBatch({ batchSize: 64, multipleOf: 64, available: 1235, needOf: line })).toBe(0);
  });

  it("answers with a size that fits where the need bends", () => {
    const bent = (batch: number) => 1000 + 10 * batch + (batch < 40 ? 30 : 0);
    const fits = fittingBatch({ batchSize: 64, available: 1235, needOf: bent });
    expect(bent(fits)).toBeLessThanOrEqual(1235);
    expect(fits).toBeGreaterThan(15);
  });
});
