import type { FileHandle } from "node:fs/promises";
import { asConsiliumError, ConsiliumError } from "../../errors.js";
import { openInput } from "../input-file.js";
import { readSafetensorsHeader, readTensor } from "../safetensors.js";
import { type PickleValue, TensorRecord } from "../torch/pickle-values.js";
import { openTorchFile, type TorchFile } from "../torch/torch-file.js";
import type { WeightTensor, WeightTree } from "./weight-tree.js";

export interface WeightFile {
  readonly tree: WeightTree;
  close(): Promise<void>;
}

/**
 * Opens a file of weights, safetensors by its name or otherwise what torch.save wrote, without reading any values.
 * @throws ConsiliumError "input-unreadable" or "input-unsupported", naming the file
 */
export async function openWeightFile(path: string): Promise<WeightFile> {
  const file = await openInput(path);
  try {
    const tree = path.endsWith(".safetensors") ? await safetensorsTree(file) : torchTree(await openTorchFile(file));
    return { tree, close: () => file.close() };
  } catch (thrown) {
    await file.close();
    throw inFile(path, thrown);
  }
}

function inFile(path: string, thrown: unknown): ConsiliumError {
  const { code, message, remedy } = asConsiliumError(thrown);
  return new ConsiliumError(code, `${path}: ${message}`, {
    cause: thrown,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

async function safetensorsTree(file: FileHandle): Promise<WeightTree> {
  const { tensors, dataOffset } = await readSafetensorsHeader(file);
  const found = [...tensors].map(([name, entry]): [string, WeightTensor] => {
    const read = async () => (await readTensor(file, { ...entry, name, dataOffset })).data;
    return [name, { shape: entry.shape, read }];
  });
  return { tensors: new Map(found), children: new Map() };
}

interface OpenTree extends WeightTree {
  readonly tensors: Map<string, WeightTensor>;
  readonly children: Map<string, WeightTree>;
}

/** Each dictionary once, however often the file refers to it. */
function torchTree({ root, readTensor: readValues }: TorchFile): WeightTree {
  if (!(root instanceof Map)) {
    throw new ConsiliumError("input-unsupported", "it holds no dictionary of tensors", {
      remedy: "save the weights alone: torch.save(model.state_dict(), path)",
    });
  }
  const trees = new Map<PickleValue, OpenTree>();
  const waiting: Map<PickleValue, PickleValue>[] = [];
  const treeOf = (map: Map<PickleValue, PickleValue>): OpenTree => {
    const known = trees.get(map);
    if (known !== undefined) return known;
    const tree = { tensors: new Map<string, WeightTensor>(), children: new Map<string, WeightTree>() };
    trees.set(map, tree);
    waiting.push(map);
    return tree;
  };
  const top = treeOf(root);
  for (let map = waiting.pop(); map !== undefined; map = waiting.pop()) {
    const tree = treeOf(map);
    for (const [key, value] of map) {
      if (typeof key !== "string") continue;
      if (value instanceof TensorRecord) {
        tree.tensors.set(key, { shape: value.shape, read: () => readValues(value) });
      } else if (value instanceof Map) {
        tree.children.set(key, treeOf(value));
      }
    }
  }
  return top;
}
