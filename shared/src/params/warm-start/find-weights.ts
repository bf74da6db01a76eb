import { ConsiliumError } from "../../errors.js";
import { ownName, withoutWrappers } from "./tensor-names.js";
import type { WeightTensor, WeightTree } from "./weight-tree.js";

/** An encoder's tensors under the names that they have here, wherever in the file and however named they were. */
export interface FoundWeights {
  /** Dictionaries that led to them, such as "teacher"; empty where they lie bare. */
  readonly container: string;
  readonly tensors: ReadonlyMap<string, FoundTensor>;
}

export interface FoundTensor extends WeightTensor {
  /** Names in the file; three where query, key and value were apart. */
  readonly from: readonly string[];
}

/** Where training scripts put weights. Of a teacher and its student the teacher is the better encoder. */
const containers = ["teacher", "state_dict", "model", "student"] as const;
const deepest = 4;

/**
 * @throws ConsiliumError "input-unsupported" when the file holds no tensors, or two for one name
 */
export function findWeights(tree: WeightTree): FoundWeights {
  const { path, tensors } = pick(tree, []);
  if (tensors.size === 0) {
    throw new ConsiliumError("input-unsupported", "the file holds no tensors", {
      remedy: `give a file with weights, bare or under one of ${containers.join(", ")}`,
    });
  }
  const { prefix, names } = preferTeacher([...tensors.keys()]);
  const found = new Map<string, Map<number, [string, WeightTensor]>>();
  for (const [name, bare] of names) {
    const tensor = tensors.get(name);
    const own = ownName(withoutWrappers(bare));
    const there = found.get(own.name) ?? new Map<number, [string, WeightTensor]>();
    const other = there.get(own.part ?? 0);
    if (other !== undefined) throw ambiguous(own.name, other[0], name);
    if (tensor !== undefined) found.set(own.name, there.set(own.part ?? 0, [name, tensor]));
  }
  return {
    container: [...path, ...prefix].join("."),
    tensors: new Map([...found].map(([name, there]) => [name, stacked(there)])),
  };
}

interface Picked {
  readonly path: readonly string[];
  readonly tensors: ReadonlyMap<string, WeightTensor>;
}

function pick(tree: WeightTree, path: readonly string[]): Picked {
  for (const name of containers) {
    const child = path.length < deepest ? tree.children.get(name) : undefined;
    const picked = child === undefined ? undefined : pick(child, [...path, name]);
    if (picked !== undefined && picked.tensors.size > 0) return picked;
  }
  return { path, tensors: tree.tensors };
}

/** Teacher and student may also lie side by side in one dictionary, told apart by the beginning of their names. */
function preferTeacher(all: readonly string[]): { prefix: string[]; names: [string, string][] } {
  for (const who of ["teacher", "student"]) {
    const marked = all.flatMap((name): [string, string][] => {
      const bare = name.replace(/^(?:module\.)+/, "");
      return bare.startsWith(`${who}.`) ? [[name, bare.slice(who.length + 1)]] : [];
    });
    if (marked.length > 0) return { prefix: [who], names: marked };
  }
  return { prefix: [], names: all.map((name) => [name, name]) };
}

function ambiguous(name: string, first: string, second: string): ConsiliumError {
  return new ConsiliumError("input-unsupported", `the file has two tensors for ${name}: ${first} and ${second}`, {
    remedy: "save the wanted encoder's state_dict alone",
  });
}

/** Query, key and value one below the other; anything else alone. */
function stacked(there: ReadonlyMap<number, [string, WeightTensor]>): FoundTensor {
  const ordered = [...there].sort(([a], [b]) => a - b).map(([, entry]) => entry);
  const from = ordered.map(([name]) => name);
  const tensors = ordered.map(([, tensor]) => tensor);
  const [first = { shape: [], read: async () => new Float32Array(0) }] = tensors;
  if (tensors.length === 1) return { from, shape: first.shape, read: () => first.read() };
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  return { from, shape: [rows, ...first.shape.slice(1)], read: () => readStacked(tensors) };
}

async function readStacked(tensors: readonly WeightTensor[]): Promise<Float32Array> {
  const values = [];
  for (const tensor of tensors) values.push(await tensor.read());
  const all = new Float32Array(values.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const one of values) {
    all.set(one, offset);
    offset += one.length;
  }
  return all;
}
