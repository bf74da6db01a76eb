import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeSafetensors } from "../safetensors.js";
import { PickledTensor } from "../testing/pickle-writer.js";
import { float32, torchFileOf } from "../testing/torch-writer.js";
import { openWeightFile } from "./weight-file.js";
import type { WeightTree } from "./weight-tree.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "weights-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function withTree<T>(path: string, use: (tree: WeightTree) => T | Promise<T>): Promise<T> {
  const file = await openWeightFile(path);
  try {
    return await use(file.tree);
  } finally {
    await file.close();
  }
}

const valuesIn = async (tree: WeightTree | undefined, name: string) =>
  Array.from((await tree?.tensors.get(name)?.read()) ?? []);

describe("openWeightFile", () => {
  it("reads safetensors", async () => {
    const path = join(directory, "a.safetensors");
    await writeSafetensors(path, [{ name: "norm.bias", shape: [2], data: Float32Array.of(1, 2) }]);
    expect(await withTree(path, (tree) => valuesIn(tree, "norm.bias"))).toEqual([1, 2]);
  });

  it("reads dictionaries of dictionaries, and tensors only from them", async () => {
    const path = join(directory, "a.pth");
    const model = new Map([["norm.bias", new PickledTensor("0", [2])]]);
    const pickle = new Map<string, typeof model | number>([
      ["model", model],
      ["epoch", 3],
    ]);
    await writeFile(path, torchFileOf({ pickle, storages: { "0": float32(1, 2) } }));
    await withTree(path, async (tree) => {
      expect([...tree.children.keys(), ...tree.tensors.keys()]).toEqual(["model"]);
      expect(await valuesIn(tree.children.get("model"), "norm.bias")).toEqual([1, 2]);
    });
  });

  it("names the file that it cannot read", async () => {
    const path = join(directory, "a.pth");
    await expect(openWeightFile(path)).rejects.toThrow(`cannot open ${path}`);
    await writeFile(path, torchFileOf({ pickle: [1, 2] }));
    await expect(openWeightFile(path)).rejects.toThrow(`${path}: it holds no dictionary of tensors`);
    await writeFile(join(directory, "b.safetensors"), "no");
    await expect(openWeightFile(join(directory, "b.safetensors"))).rejects.toThrow(/b\.safetensors: not a safetensors/);
  });
});
