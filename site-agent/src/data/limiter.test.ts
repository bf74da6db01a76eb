import { deferred } from "@consilium/shared/abort.js";
import { describe, expect, it } from "vitest";
import { createLimiter, mapLimited } from "./limiter.js";

describe("createLimiter", () => {
  it("runs in order, never more than allowed, and goes on after a failure", async () => {
    const limited = createLimiter(2);
    const gates = Array.from({ length: 4 }, () => deferred<void>());
    const started: number[] = [];
    const results = gates.map((gate, index) =>
      limited(() => {
        started.push(index);
        return gate.promise;
      }),
    );
    const outcomes = Promise.allSettled(results);
    await Promise.resolve();
    expect(started).toEqual([0, 1]);
    gates[1]!.reject(new Error("broken"));
    await expect(results[1]).rejects.toThrow("broken");
    await new Promise(setImmediate);
    expect(started).toEqual([0, 1, 2]);
    for (const gate of gates) gate.resolve();
    expect((await outcomes).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  });
});

describe("mapLimited", () => {
  it("keeps the order of the values", async () => {
    const doubled = await mapLimited([5, 1, 3], 2, async (value) => {
      for (let turn = 0; turn < value; turn++) await Promise.resolve();
      return value * 2;
    });
    expect(doubled).toEqual([10, 2, 6]);
  });

  it("fails with the first failure", async () => {
    const failing = mapLimited([1, 2, 3], 2, async (value) => {
      if (value === 2) throw new Error("two");
    });
    await expect(failing).rejects.toThrow("two");
  });
});
