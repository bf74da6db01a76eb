import { describe, expect, it } from "vitest";
import { EpochOrder } from "./epoch-order.js";

const indices = (order: EpochOrder, from: number, count: number): number[] =>
  Array.from({ length: count }, (_, place) => order.slot(from + place).index);

describe("EpochOrder", () => {
  it("visits every item once in each epoch, each epoch in another order", () => {
    const order = new EpochOrder({ seed: 1, siteId: "a", items: 50 });
    const [first, second] = [indices(order, 0, 50), indices(order, 50, 50)];
    expect(new Set(first).size).toBe(50);
    expect(new Set(second).size).toBe(50);
    expect(first).not.toEqual(second);
  });

  it("depends on the seed, the site and the epoch only", () => {
    const running = new EpochOrder({ seed: 1, siteId: "a", items: 50 });
    indices(running, 0, 170);
    const fresh = new EpochOrder({ seed: 1, siteId: "a", items: 50 });
    expect(indices(fresh, 120, 60)).toEqual(indices(running, 120, 60));
    expect(fresh.slot(120)).toMatchObject({ epoch: 2, position: 20 });
    for (const other of [
      { seed: 2, siteId: "a" },
      { seed: 1, siteId: "b" },
    ]) {
      expect(indices(new EpochOrder({ ...other, items: 50 }), 0, 50)).not.toEqual(indices(fresh, 0, 50));
    }
  });
});
