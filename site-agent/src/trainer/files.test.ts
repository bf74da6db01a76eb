import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { quadratic } from "../engine/testing/quadratic.js";
import type { StateShape } from "../engine/training-state.js";
import type { SslMethod } from "../ssl/method.js";
import { readCheckpoint } from "./checkpoint-vector.js";
import { deltaPath, removeOtherDeltas, writeDelta } from "./delta-file.js";
import { digestText, type LocalState, loadState, runDirectory, saveState } from "./local-state.js";

const layout = placeParameters([
  { name: "a", shape: [2], initializer: { kind: "zeros" } },
  { name: "b", shape: [1, 1], initializer: { kind: "zeros" } },
]);

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "trainer-files-"));
});
afterEach(() => rm(root, { recursive: true }));

const state: LocalState = {
  numbers: {
    round: 2,
    checkpointDigest: "c",
    layoutDigest: digestText(layout),
    step: 3,
    rampsUp: true,
    nextBatch: 17,
    lossSum: 0.1 + 0.2,
    finiteSteps: 3,
    terms: { dino: { sum: 0.1 + 0.2, steps: 3 } },
    cosine: 1 / 3,
    trainedMs: 1.5,
    strategy: { lambda: 0.5 },
  },
  training: {
    optimizerStep: 13,
    parameters: Float32Array.of(1e-30, 2, 3),
    slots: { moment1: Float32Array.of(4, 5, 6), moment2: Float32Array.of(7, 8, 1 / 3) },
    carried: { centre: Float32Array.of(-0.1) },
  },
};

const carried: SslMethod["carried"] = {
  specs: { centre: { shape: [1, 1], dtype: "float32" } },
  start: () => ({ centre: { shape: [1, 1], data: new Float32Array(1) } }),
  afterStep: ({ carried: before }) => before,
};
const shape: StateShape = {
  method: { ...quadratic, carried },
  layout,
  optimizer: { name: "adamw", beta1: 0.9, beta2: 0.999 },
};
const lars: StateShape["optimizer"] = { name: "lars", momentum: 0.9, trustCoefficient: 0.001 };

describe("local state", () => {
  it("comes back with every bit", async () => {
    const directory = await runDirectory(root, "run");
    await saveState(directory, state);
    expect(await loadState(directory, shape)).toEqual(state);
    expect(await readdir(directory)).toEqual(["state.safetensors"]);
  });

  it("keeps the loss scale while steps scale their loss", async () => {
    const directory = await runDirectory(root, "run");
    const lossScale = { scale: 2048, finiteSteps: 7 };
    await saveState(directory, { ...state, training: { ...state.training, lossScale } });
    expect((await loadState(directory, { ...shape, lossScaling: true }))?.training.lossScale).toEqual(lossScale);
    expect(await loadState(directory, shape)).toEqual(state);
    await saveState(directory, state);
    const begun = await loadState(directory, { ...shape, lossScaling: true });
    expect(begun?.training.lossScale).toEqual({ scale: 2 ** 16, finiteSteps: 0 });
  });

  it("reads the moments of the format before", async () => {
    const directory = await runDirectory(root, "run");
    const { parameters, slots, optimizerStep } = state.training;
    const vectors = Object.entries({ parameters, ...slots }).map(([name, data]) => ({ name, shape: [3], data }));
    const numbers = JSON.stringify({ ...state.numbers, optimizerStep });
    const metadata = { format: "consilium-local-state-1", numbers };
    await writeSafetensors(join(directory, "state.safetensors"), vectors, metadata);
    const before = await loadState(directory, { ...shape, method: quadratic });
    expect(before).toEqual({ ...state, training: { ...state.training, carried: {} } });
    expect(await loadState(directory, shape)).toBeUndefined();
  });

  it("is none at first, when damaged, and for another layout or optimiser", async () => {
    const directory = await runDirectory(root, "run");
    expect(await loadState(directory, shape)).toBeUndefined();
    await saveState(directory, state);
    const other = placeParameters([{ name: "c", shape: [3], initializer: { kind: "zeros" } }]);
    expect(await loadState(directory, { ...shape, layout: other })).toBeUndefined();
    expect(await loadState(directory, { ...shape, optimizer: lars })).toBeUndefined();
    await truncate(join(directory, "state.safetensors"), 100);
    expect(await loadState(directory, shape)).toBeUndefined();
  });

  it("clears away what a killed trainer left half written", async () => {
    const directory = await runDirectory(root, "run");
    await writeFile(join(directory, "state.safetensors.tmp"), "half");
    await runDirectory(root, "run");
    expect(await readdir(directory)).toEqual([]);
  });

  it("says where it cannot write", async () => {
    await writeFile(join(root, "file"), "");
    await expect(runDirectory(join(root, "file"), "run")).rejects.toMatchObject({ code: "storage" });
    await expect(saveState(join(root, "none"), state)).rejects.toMatchObject({ code: "storage" });
  });
});

describe("delta file", () => {
  it("holds trained minus checkpoint and replaces other rounds' deltas", async () => {
    await writeFile(deltaPath(root, 1), "old");
    await writeFile(join(root, "other"), "kept");
    const vectors = { trained: Float32Array.of(3, 5), checkpoint: Float32Array.of(1, 5.5) };
    const { path, digest } = await writeDelta(deltaPath(root, 2), vectors);
    await removeOtherDeltas(root, 2);
    expect(await readdir(root)).toEqual(["delta-2.f32", "other"]);
    const bytes = await readFile(path);
    expect([bytes.readFloatLE(0), bytes.readFloatLE(4), bytes.length]).toEqual([2, -0.5, 8]);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(vectors.trained[0]).toBe(3);
  });
});

describe("readCheckpoint", () => {
  const a = { name: "a", shape: [2], data: Float32Array.of(1, 2) };
  const b = { name: "b", shape: [1, 1], data: Float32Array.of(3) };

  it("puts tensors in layout order, whatever order the file has", async () => {
    const path = join(root, "checkpoint.safetensors");
    await writeSafetensors(path, [b, { ...a, name: "extra" }, a]);
    expect((await readCheckpoint(path, layout)).vector).toEqual(Float32Array.of(1, 2, 3));
  });

  it("refuses a checkpoint of another model", async () => {
    const path = join(root, "checkpoint.safetensors");
    await writeSafetensors(path, [a]);
    await expect(readCheckpoint(path, layout)).rejects.toThrow(/tensor b is missing/);
    await writeSafetensors(path, [a, { ...b, shape: [1] }]);
    await expect(readCheckpoint(path, layout)).rejects.toThrow(/tensor b has shape \[1\], not \[1, 1\]/);
  });
});
