import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadDelta, type StoredUpdate, UpdateStore } from "./update-store.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "update-store-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const checkpointDigest = "c".repeat(64);
const key = { runId: "run-1", round: 2, attempt: 0 };

function trained(name: string, values: number[]): StoredUpdate {
  const bytes = Buffer.from(new Float32Array(values).buffer);
  const deltaPath = join(directory, name);
  writeFileSync(deltaPath, bytes);
  const deltaDigest = createHash("sha256").update(bytes).digest("hex");
  return { deltaPath, deltaDigest, checkpointDigest, sampleCount: 9, meanLoss: 1.5, figures: { dino: 2 }, steps: 4 };
}

describe("UpdateStore", () => {
  it("gives an update back for its round and checkpoint only, also to a later process", () => {
    const update = trained("a", [1, 2]);
    new UpdateStore(directory).save(key, update);
    const store = new UpdateStore(directory);
    expect(store.find({ ...key, attempt: 5 }, checkpointDigest)).toEqual(update);
    expect(store.find({ ...key, round: 3 }, checkpointDigest)).toBeUndefined();
    expect(store.find(key, "d".repeat(64))).toBeUndefined();
    expect(store.find({ ...key, runId: "run-2" }, checkpointDigest)).toBeUndefined();
  });

  it("removes the file when the round is committed or a newer one is trained", () => {
    const store = new UpdateStore(directory);
    const first = trained("a", [1]);
    store.save(key, first);
    store.save({ ...key, round: 3 }, trained("b", [2]));
    expect(existsSync(first.deltaPath)).toBe(false);
    store.forget({ ...key, round: 3 });
    expect(existsSync(join(directory, "b"))).toBe(false);
    expect(store.find({ ...key, round: 3 }, checkpointDigest)).toBeUndefined();
  });

  it("treats a damaged record as none", () => {
    writeFileSync(join(directory, "run-1.json"), "{");
    expect(new UpdateStore(directory).find(key, checkpointDigest)).toBeUndefined();
  });
});

describe("loadDelta", () => {
  it("reads what was stored", async () => {
    expect(await loadDelta(trained("a", [1, -2.5, 3]), 3)).toEqual(new Float32Array([1, -2.5, 3]));
  });

  it("refuses a file of another length or content", async () => {
    const update = trained("a", [1, 2]);
    await expect(loadDelta(update, 3)).rejects.toMatchObject({ code: "storage" });
    writeFileSync(update.deltaPath, Buffer.alloc(8));
    await expect(loadDelta(update, 2)).rejects.toMatchObject({ code: "storage" });
  });
});
