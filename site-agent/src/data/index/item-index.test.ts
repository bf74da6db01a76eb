import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type FoundItem,
  type ImageSource,
  partId,
  type SourceFile,
  UnreadableImage,
  type UnreadableReason,
} from "../source.js";
import { ItemIndex } from "./item-index.js";
import { scan } from "./scan.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "index-"));
});
afterEach(() => rm(folder, { recursive: true }));

interface Content {
  readonly stamp: string;
  readonly parts?: number;
  readonly reason?: UnreadableReason;
  readonly row?: Record<string, string>;
}

/** A source of files with parts; counts what is opened. */
function sourceOf(content: Record<string, Content>) {
  const opened: string[] = [];
  const source: Pick<ImageSource, "files" | "items"> = {
    async *files() {
      for (const [id, { stamp, row }] of Object.entries(content)) yield { id, stamp, ...(row ? { row } : {}) };
    },
    async items({ id, stamp, row }: SourceFile): Promise<FoundItem[]> {
      opened.push(id);
      const { parts = 1, reason } = content[id]!;
      if (reason !== undefined) throw new UnreadableImage(id, reason);
      const facts = { format: "png", width: 4, height: 3 };
      const label = row?.["label"];
      return Array.from({ length: parts }, (_, part) => ({
        ...{ id: partId(id, `${part}`), stamp, facts, group: id, attributes: { scanner: "x" } },
        ...(label === undefined ? {} : { label }),
      }));
    },
  };
  return { source, opened };
}

const idsOf = (index: ItemIndex): string[] => {
  const list = index.list();
  return Array.from({ length: list.length }, (_, at) => list.at(at).id);
};

async function scanned(index: ItemIndex, content: Record<string, Content>) {
  const { source, opened } = sourceOf(content);
  const result = await scan({ source, index, concurrency: 2 });
  return { ...result, openedIds: opened };
}

describe("ItemIndex", () => {
  it("opens only what is new or changed, and forgets what is gone", async () => {
    const path = join(folder, "cache", "index.sqlite");
    const first = new ItemIndex(path, "a");
    const before = await scanned(first, { b: { stamp: "1", parts: 2 }, a: { stamp: "1" }, c: { stamp: "1" } });
    expect([before.files, before.opened, before.stale]).toEqual([3, 3, []]);
    expect(idsOf(first)).toEqual(["a//0", "b//0", "b//1", "c//0"]);
    expect(first.list().at(1)).toEqual({ id: "b//0", stamp: "1", group: "b", attributes: { scanner: "x" } });
    first.close();

    const second = new ItemIndex(path, "a");
    const after = await scanned(second, { b: { stamp: "2", parts: 1 }, a: { stamp: "1" }, d: { stamp: "1" } });
    expect(after.openedIds.sort()).toEqual(["b", "d"]);
    expect([...after.stale].sort()).toEqual(["b", "c"]);
    expect(idsOf(second)).toEqual(["a//0", "b//0", "d//0"]);
    expect(second.list().stampOf("b//0")).toBe("2");
    expect(second.list().stampOf("b//1")).toBeUndefined();
    second.close();
  });

  it("forgets what is gone also in a later scan of the same index, and opens nothing twice", async () => {
    const index = new ItemIndex(":memory:", "a");
    await scanned(index, { a: { stamp: "1" }, b: { stamp: "1" } });
    const later = await scanned(index, { a: { stamp: "1" } });
    expect([later.opened, later.stale, idsOf(index)]).toEqual([0, ["b"], ["a//0"]]);
  });

  it("keeps what two processes list at once", async () => {
    const path = join(folder, "index.sqlite");
    const content = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`${at}`, { stamp: "1" }]));
    const [one, other] = [new ItemIndex(path, "a"), new ItemIndex(path, "a")];
    const slow = {
      ...sourceOf(content).source,
      async *files() {
        for (const id of Object.keys(content)) {
          await new Promise((resume) => setTimeout(resume, 10));
          yield { id, stamp: "1" };
        }
      },
    };
    const ended = scan({ source: slow, index: one, concurrency: 1 });
    await new Promise((resume) => setTimeout(resume, 150));
    await scan({ source: slow, index: other, concurrency: 1 });
    expect((await ended).files).toBe(30);
    expect([idsOf(one).length, idsOf(other).length]).toEqual([30, 30]);
    one.close();
    other.close();
  });

  it("opens a file again when its row of the labels changes", async () => {
    const index = new ItemIndex(":memory:", "a");
    await scanned(index, { a: { stamp: "1", row: { label: "nv" } } });
    const { opened } = await scanned(index, { a: { stamp: "1", row: { label: "mel" } } });
    expect([opened, index.list().at(0).label]).toEqual([1, "mel"]);
  });

  it("counts failures, not exclusions, and tries again what may have come back", async () => {
    const index = new ItemIndex(":memory:", "a");
    const content: Record<string, Content> = {
      a: { stamp: "1" },
      b: { stamp: "1", reason: "damaged" },
      c: { stamp: "1", reason: "missing" },
      d: { stamp: "1", reason: "no-pixels" },
    };
    await scanned(index, content);
    expect(index.list().unreadable).toEqual({ damaged: 1, missing: 1 });
    expect(index.leftOut()).toEqual({ damaged: 1, missing: 1, "no-pixels": 1 });
    const { openedIds } = await scanned(index, { ...content, c: { stamp: "1" } });
    expect(openedIds).toEqual(["c"]);
    expect(idsOf(index)).toEqual(["a//0", "c//0"]);
  });

  it("leaves out an image whose pixels could not be read, until its file changes", async () => {
    const index = new ItemIndex(":memory:", "a");
    await scanned(index, { a: { stamp: "1", parts: 3 } });
    expect(index.unchecked().length).toBe(3);
    index.noteUnreadable("a//1", "truncated");
    index.notePixels("a//0", { digest: new Uint8Array(32), hash: new Uint8Array(16) });
    expect([idsOf(index), index.unchecked().length]).toEqual([["a//0", "a//2"], 1]);
    expect(index.list().unreadable).toEqual({ truncated: 1 });
    await scanned(index, { a: { stamp: "2", parts: 3 } });
    expect([idsOf(index).length, index.unchecked().length]).toEqual([3, 3]);
  });

  it("keeps what it knows when the place is gone or empty", async () => {
    const index = new ItemIndex(":memory:", "a");
    await scanned(index, { a: { stamp: "1" } });
    await expect(scanned(index, {})).rejects.toMatchObject({ code: "not-enough-data" });
    const failing = {
      async *files(): AsyncGenerator<SourceFile> {
        yield { id: "a", stamp: "1" };
        throw new Error("unmounted");
      },
      items: async () => [],
    };
    await expect(scan({ source: failing, index, concurrency: 1 })).rejects.toThrow("unmounted");
    expect(idsOf(index)).toEqual(["a//0"]);
  });

  it("goes on after an interruption where it stopped", async () => {
    const path = join(folder, "index.sqlite");
    const content = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`${at}`, { stamp: "1" }]));
    const { source, opened } = sourceOf(content);
    const stop = new AbortController();
    const index = new ItemIndex(path, "a");
    const onProgress = (files: number) => files === 7 && stop.abort();
    await expect(scan({ source, index, concurrency: 1, signal: stop.signal, onProgress })).rejects.toMatchObject({
      name: "AbortedError",
    });
    index.close();
    expect(opened.length).toBeGreaterThanOrEqual(7);
    const again = new ItemIndex(path, "a");
    const rest = await scanned(again, content);
    expect(opened.length + rest.opened).toBe(20);
    again.close();
  });

  it("is made anew for other settings, and when it is damaged", async () => {
    const path = join(folder, "index.sqlite");
    const index = new ItemIndex(path, "a");
    await scanned(index, { a: { stamp: "1" } });
    index.close();
    const other = new ItemIndex(path, "b");
    expect(other.list().length).toBe(0);
    await scanned(other, { a: { stamp: "1" } });
    other.close();
    await writeFile(path, "this is no database, but it is long enough to be taken for one at first sight".repeat(50));
    const anew = new ItemIndex(path, "b");
    expect(anew.list().length).toBe(0);
    anew.close();
  });
});
