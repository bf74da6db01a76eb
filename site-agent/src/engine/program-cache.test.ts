import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { folderDigest } from "./code-digest.js";
import type { CompiledModel } from "./compiled-model.js";
import { type CachedModel, cachedModel, forgetModel, programKey } from "./program-cache.js";
import { programOf } from "./testing/agreement.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "program-cache-"));
});
afterEach(() => rm(directory, { recursive: true }));

const outputs = [{ name: "x", modelName: "x:out", shape: [3], dtype: "float32" as const }];
const base = { ...programOf({ x: { shape: [3], dtype: "float32" } }, (inputs) => inputs), description: "{}" };
const options = { products: "fused" as const };
const compiled = (size = 4): CompiledModel => ({
  bytes: new Uint8Array(size).fill(7),
  outputs,
  peakBytes: 9,
  optimized: true,
});

type Request = Parameters<typeof cachedModel>[0];

let compilations = 0;
function request(changes: Partial<Request> = {}): Request {
  const compile = () => {
    compilations++;
    return compiled();
  };
  return { directory, program: base, options, compile, ...changes };
}

async function outcome(changes: Partial<Request> = {}): Promise<CachedModel["cache"]> {
  const before = compilations;
  const model = await cachedModel(request(changes));
  expect(model.outputs).toEqual(outputs);
  expect(model.optimized).toBe(true);
  expect([...model.bytes.subarray(0, 4)]).toEqual([7, 7, 7, 7]);
  expect(compilations - before).toBe(model.cache === "hit" || changes.compile !== undefined ? 0 : 1);
  return model.cache;
}

async function onlyFile(): Promise<string> {
  const names = await readdir(directory);
  expect(names).toHaveLength(1);
  return join(directory, names[0]!);
}

describe("cachedModel", () => {
  it("compiles a program once and keeps it for its owner alone", async () => {
    expect(await outcome()).toBe("miss");
    expect(await outcome()).toBe("hit");
    expect((await stat(await onlyFile())).mode & 0o777).toBe(0o600);
  });

  it("compiles again for anything else that decides the model", async () => {
    await outcome();
    const inputs = { x: { shape: [1, 3], dtype: "float32" } } as const;
    for (const changes of [
      { program: { ...base, description: '{"a":1}' } },
      { program: { ...base, name: "other" } },
      { program: { ...base, inputs } },
      { options: { products: "plain" as const } },
      { variant: "cpu" },
    ]) {
      expect(await outcome(changes)).toBe("miss");
      expect(await outcome(changes)).toBe("hit");
    }
    expect(await outcome()).toBe("hit");
  });

  it("keeps nothing for programs without description, or without a folder", async () => {
    const { description: _, ...anonymous } = base;
    for (const changes of [{ program: anonymous }, { directory: undefined }]) {
      expect(await outcome(changes)).toBe("off");
      expect(await outcome(changes)).toBe("off");
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it("replaces a file that is damaged, cut off, foreign, or no file", async () => {
    await outcome();
    const path = await onlyFile();
    const whole = await readFile(path);
    const flipped = Uint8Array.from(whole);
    flipped[whole.length - 1]! ^= 1;
    const otherKey = whole.toString("latin1").replace(/[0-9a-f]{64}/, "0".repeat(64));
    for (const content of [flipped, whole.subarray(0, -1), whole.subarray(0, 40), "", "hello\nworld\n", otherKey]) {
      await writeFile(path, content, "latin1");
      expect(await outcome()).toBe("damaged");
      expect(await outcome()).toBe("hit");
    }
    await rm(path);
    await mkdir(join(path, "inner"), { recursive: true });
    expect(await outcome()).toBe("damaged");
    expect(await outcome()).toBe("hit");
  });

  it("forgets what a runtime refused", async () => {
    await outcome();
    await forgetModel(request());
    expect(await outcome()).toBe("miss");
  });

  it("removes what was unused for longest when the folder is full", async () => {
    const program = (index: number) => ({ ...base, description: `{"index":${index}}` });
    const limited = (index: number) => ({ program: program(index), maxBytes: 3000, compile: () => compiled(1000) });
    const long = new Date(Date.now() - 7_200_000);
    for (const index of [1, 2, 3]) await outcome({ ...limited(index), maxBytes: 10_000 });
    for (const name of await readdir(directory)) await utimes(join(directory, name), long, long);
    await writeFile(join(directory, "killed.tmp"), "");
    await utimes(join(directory, "killed.tmp"), long, long);
    await writeFile(join(directory, "being-written.tmp"), "");
    expect(await outcome(limited(1))).toBe("hit");
    expect(await outcome(limited(4))).toBe("miss");
    const names = await readdir(directory);
    expect(names.filter((name) => name.endsWith(".program"))).toHaveLength(2);
    expect(names.filter((name) => name.endsWith(".tmp"))).toEqual(["being-written.tmp"]);
    for (const index of [1, 4]) expect(await outcome(limited(index))).toBe("hit");
  });

  it("stands writers at the same time, and readers between them", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => cachedModel(request())));
    expect(all.every(({ cache }) => cache === "miss" || cache === "hit")).toBe(true);
    expect(await outcome()).toBe("hit");
    await onlyFile();
  });

  it("runs a program that it cannot keep", async () => {
    const file = join(directory, "file");
    await writeFile(file, "");
    const model = await cachedModel(request({ directory: join(file, "below") }));
    expect(model).toMatchObject({ outputs, notKept: "ENOTDIR" });
  });

  it("hands on what compiling throws", async () => {
    const compile = () => Promise.reject(new Error("no such kernel"));
    await expect(cachedModel(request({ compile }))).rejects.toThrow("no such kernel");
  });
});

describe("programKey", () => {
  it("changes with the code", () => {
    expect(programKey(request(), "a")).not.toBe(programKey(request(), "b"));
    expect(programKey(request(), "a")).toBe(programKey(request({ directory: "elsewhere" }), "a"));
  });
});

describe("folderDigest", () => {
  it("changes with code below the folder and its place, not with tests", async () => {
    const put = (name: string, text: string) => writeFile(join(directory, name), text);
    await mkdir(join(directory, "inner"));
    await put("a.ts", "1");
    await put("inner/b.js", "2");
    const first = folderDigest(directory);
    await put("a.test.ts", "3");
    await put("notes.md", "4");
    expect(folderDigest(directory)).toBe(first);
    await put("inner/b.js", "5");
    const second = folderDigest(directory);
    await put("inner/c.js", "5");
    await rm(join(directory, "inner/b.js"));
    expect(new Set([first, second, folderDigest(directory)]).size).toBe(3);
  });
});
