import { describe, expect, it } from "vitest";
import { DecodedCache } from "./decoded-cache.js";

const image = (bytes: number) => ({ width: bytes / 3, height: 1, data: new Uint8Array(bytes) });
const item = (id: string, stamp = "1") => ({ id, stamp });

describe("DecodedCache", () => {
  it("never holds more than its limit, and keeps what came first", () => {
    const cache = new DecodedCache(100);
    for (const id of ["a", "b", "c", "d"]) cache.add(item(id), image(30));
    expect(cache.bytes).toBe(90);
    expect(cache.get(item("a"))).toBeDefined();
    expect(cache.get(item("d"))).toBeUndefined();
  });

  it("takes a smaller image where a larger one has no room", () => {
    const cache = new DecodedCache(100);
    cache.add(item("large"), image(120));
    cache.add(item("small"), image(99));
    expect(cache.size).toBe(1);
    expect(cache.get(item("small"))).toBeDefined();
  });

  it("does not answer for a file that has changed, and makes room for it", () => {
    const cache = new DecodedCache(100);
    cache.add(item("a"), image(60));
    expect(cache.get(item("a", "2"))).toBeUndefined();
    cache.add(item("a", "2"), image(90));
    expect(cache.get(item("a", "2"))?.data.length).toBe(90);
    expect(cache.bytes).toBe(90);
  });

  it("forgets the images of a file", () => {
    const cache = new DecodedCache(100);
    cache.add(item("a"), image(30));
    cache.add(item("b"), image(30));
    cache.add(item("c//1"), image(30));
    cache.forget(["a", "c"]);
    expect([cache.size, cache.bytes]).toEqual([1, 30]);
    expect(cache.get(item("b"))).toBeDefined();
  });

  it("holds nothing with a limit of zero", () => {
    const cache = new DecodedCache(0);
    cache.add(item("a"), image(3));
    expect(cache.size).toBe(0);
  });
});
