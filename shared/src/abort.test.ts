import { describe, expect, it } from "vitest";
import { backoffDelayMs, orAborted, sleep } from "./abort.js";
import { AbortedError } from "./errors.js";

describe("sleep()", () => {
  it("rejects at once when its signal is aborted, before or during", async () => {
    const controller = new AbortController();
    const waiting = sleep(60_000, controller.signal);
    controller.abort();
    await expect(waiting).rejects.toBeInstanceOf(AbortedError);
    await expect(sleep(60_000, controller.signal)).rejects.toBeInstanceOf(AbortedError);
  });

  it("resolves by itself", async () => {
    await expect(sleep(1)).resolves.toBeUndefined();
  });
});

describe("backoffDelayMs()", () => {
  it("doubles up to its cap and spreads over the upper half", () => {
    const delay = (attempt: number, random: number) =>
      backoffDelayMs(attempt, { initialMs: 1000, maxMs: 60_000, random: () => random });
    expect([0, 1, 2, 3].map((attempt) => delay(attempt, 0))).toEqual([500, 1000, 2000, 4000]);
    expect(delay(0, 0.999)).toBeLessThan(1000);
    expect(delay(1000, 0.5)).toBe(45_000);
  });
});

describe("orAborted()", () => {
  it("gives the value, the failure, or AbortedError, whichever is first, and leaves no listener", async () => {
    const { signal } = new AbortController();
    await expect(orAborted(Promise.resolve(1), signal)).resolves.toBe(1);
    await expect(orAborted(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
    await expect(orAborted(Promise.resolve(1), undefined)).resolves.toBe(1);
    const controller = new AbortController();
    const waiting = orAborted(new Promise(() => {}), controller.signal);
    controller.abort();
    await expect(waiting).rejects.toBeInstanceOf(AbortedError);
  });
});
