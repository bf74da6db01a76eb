import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addMask, subtractMask } from "@consilium/shared/secagg/mask.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SpooledVector, UnmaskedSum } from "./sum.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "consilium-sum-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const count = 1003;
const keys = { a: Buffer.alloc(32, 1), b: Buffer.alloc(32, 2) };

function spool(siteId: string, words: Uint32Array): SpooledVector {
  const path = join(directory, siteId);
  writeFileSync(path, new Uint8Array(words.buffer));
  return { siteId, path };
}

describe("UnmaskedSum", () => {
  it("adds modulo 2^32 and takes masks of either sign off, from any place", async () => {
    const first = Uint32Array.from({ length: count }, (_, i) => i);
    const second = Uint32Array.from({ length: count }, (_, i) => -3 * i);
    addMask(first, { key: keys.a, firstWord: 0 });
    subtractMask(second, { key: keys.b, firstWord: 0 });
    const masks = [
      { key: Buffer.from(keys.a), sign: 1 as const },
      { key: Buffer.from(keys.b), sign: -1 as const },
    ];
    const sum = await UnmaskedSum.open([spool("a", first), spool("b", second)], count, masks);
    expect([...(await sum.range(0, count))]).toEqual(Array.from({ length: count }, (_, i) => 0 - 2 * i));
    expect([...(await sum.range(998, 5))]).toEqual([-1996, -1998, -2000, -2002, -2004]);
    await sum.close();
  });

  it("refuses a vector of another length and one that is not there", async () => {
    const short = spool("a", new Uint32Array(3));
    const coded = (code: string) => expect.objectContaining({ code });
    await expect(UnmaskedSum.open([short], 4, [])).rejects.toThrow(coded("update-invalid"));
    const absent = { siteId: "b", path: join(directory, "b") };
    await expect(UnmaskedSum.open([short, absent], 3, [])).rejects.toThrow(coded("storage"));
  });
});
