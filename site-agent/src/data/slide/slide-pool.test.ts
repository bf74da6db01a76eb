import { deferred } from "@consilium/shared/abort.js";
import { describe, expect, it } from "vitest";
import type { Slide } from "./slide.js";
import { SlidePool } from "./slide-pool.js";
import { slideOf } from "./test-slides.js";

function poolOf(most: number) {
  const log: string[] = [];
  const open = async (id: string): Promise<Slide> => {
    log.push(`open ${id}`);
    if (id === "bad") throw new Error("bad");
    const close = async () => void log.push(`close ${id}`);
    return { ...slideOf({ width: 1, height: 1, data: new Uint8Array(3) }), close };
  };
  const pool = new SlidePool(open, most);
  const use = (id: string, stamp = "1") => pool.use({ id, stamp }, async () => id);
  return { pool, log, use };
}

describe("SlidePool", () => {
  it("keeps the last used open", async () => {
    const { pool, log, use } = poolOf(2);
    for (const id of ["a", "b", "a", "c", "a"]) expect(await use(id)).toBe(id);
    expect(log).toEqual(["open a", "open b", "open c", "close b"]);
    await pool.close();
    expect(log.slice(4).sort()).toEqual(["close a", "close c"]);
    expect(pool.size).toBe(0);
  });

  it("opens a slide once for all who come at the same time, and again when its file changed", async () => {
    const { log, use } = poolOf(8);
    await Promise.all([use("a"), use("a"), use("a", "2")]);
    expect(log).toEqual(["open a", "open a"]);
  });

  it("does not close what is in use", async () => {
    const { pool, log, use } = poolOf(1);
    const gate = deferred<void>();
    const busy = pool.use({ id: "a", stamp: "1" }, () => gate.promise);
    await use("b");
    expect(log).toEqual(["open a", "open b", "close b"]);
    gate.resolve();
    await busy;
    await use("c");
    expect(log.slice(3)).toEqual(["open c", "close a"]);
  });

  it("tries a slide again that could not be opened", async () => {
    const { pool, log, use } = poolOf(2);
    await expect(use("bad")).rejects.toThrow("bad");
    await expect(use("bad")).rejects.toThrow("bad");
    expect(log).toEqual(["open bad", "open bad"]);
    expect(pool.size).toBe(0);
  });
});
