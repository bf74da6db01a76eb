import { describe, expect, it } from "vitest";
import { availableMemory, readMemory } from "./available-memory.js";

const gib = 2 ** 30;

describe("availableMemory", () => {
  it("is what the machine has free, less a reserve", () => {
    expect(availableMemory({ free: 10 * gib, resident: gib })).toBe(Math.floor(9.5 * gib));
  });

  it("is what the limit leaves beside what this process holds", () => {
    expect(availableMemory({ free: 10 * gib, limit: 4 * gib, resident: gib })).toBe(Math.floor(0.95 * 3 * gib));
    expect(availableMemory({ free: gib, limit: 40 * gib, resident: gib })).toBe(Math.floor(0.95 * gib));
    expect(availableMemory({ free: gib, limit: gib, resident: 2 * gib })).toBe(0);
  });

  it.each([0, Number.POSITIVE_INFINITY, 2 ** 64])("takes a limit of %d for none", (limit) => {
    expect(availableMemory({ free: 2 * gib, limit, resident: gib })).toBe(Math.floor(1.9 * gib));
  });

  it("reads this process", () => {
    const readings = readMemory();
    expect(readings.resident).toBeGreaterThan(10e6);
    expect(availableMemory(readings)).toBeGreaterThan(0);
  });
});
