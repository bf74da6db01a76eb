import { describe, expect, it } from "vitest";
import { VolumeCache } from "./volume-cache.js";

const volume = (bytes: number): { data: Uint8Array } => ({ data: new Uint8Array(bytes) });

function counting(bytes: number): { readonly make: () => Promise<{ data: Uint8Array }>; readonly calls: () => number } {
  let calls = 0;
  return {
    make: async () => {
      calls++;
      return volume(bytes);
    },
    calls: () => calls,
  };
}

describe("VolumeCache", () => {
  it("makes what is asked for once, also for those who ask at the same time", async () => {
    const cache = new VolumeCache(100);
    const { make, calls } = counting(10);
    await Promise.all([cache.get("a", "1", make), cache.get("a", "1", make)]);
    await cache.get("a", "1", make);
    expect(calls()).toBe(1);
    await cache.get("a", "2", make);
    expect(calls()).toBe(2);
  });

  it("forgets what was used longest ago when its bytes are used up", async () => {
    const cache = new VolumeCache(100);
    const [a, b, c] = [counting(40), counting(40), counting(40)];
    await cache.get("a", "1", a.make);
    await cache.get("b", "1", b.make);
    await cache.get("a", "1", a.make);
    await cache.get("c", "1", c.make);
    await cache.get("a", "1", a.make);
    await cache.get("b", "1", b.make);
    expect([a.calls(), b.calls(), c.calls()]).toEqual([1, 2, 1]);
  });

  it("keeps the latest, however large", async () => {
    const cache = new VolumeCache(100);
    const { make, calls } = counting(1000);
    await cache.get("a", "1", make);
    await cache.get("a", "1", make);
    expect(calls()).toBe(1);
  });

  it("tries again what failed", async () => {
    const cache = new VolumeCache<{ data: Uint8Array }>(100);
    await expect(cache.get("a", "1", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect((await cache.get("a", "1", async () => volume(7))).data.length).toBe(7);
  });
});
