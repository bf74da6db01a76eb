import { sizeOf } from "../layout.js";
import { damagedPickle, refusedPickle } from "./pickle-errors.js";
import { GlobalName, Inert, type PickleValue, StorageRecord, TensorRecord } from "./pickle-values.js";

/** The only names that a file may mention, and what each call of one means here. Written out; nothing is looked up. */

const storageTypes: ReadonlyMap<string, string> = new Map([
  ["torch.DoubleStorage", "F64"],
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.LongStorage", "I64"],
  ["torch.IntStorage", "I32"],
  ["torch.ShortStorage", "I16"],
  ["torch.CharStorage", "I8"],
  ["torch.ByteStorage", "U8"],
  ["torch.BoolStorage", "BOOL"],
]);

/** What training scripts keep beside weights. Objects of these become nothing. */
const inertNames: ReadonlySet<string> = new Set([
  "argparse.Namespace",
  "builtins.set",
  "__builtin__.set",
  "pathlib.PosixPath",
  "pathlib.PurePosixPath",
  "numpy.dtype",
  "numpy.ndarray",
  "numpy.core.multiarray.scalar",
  "numpy._core.multiarray.scalar",
  "numpy.core.multiarray._reconstruct",
  "numpy._core.multiarray._reconstruct",
  "_codecs.encode",
  "torch.device",
  ...["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"].map(
    (type) => `torch.${type}`,
  ),
]);

type Call = (args: readonly PickleValue[], spend: (entries: number) => void) => PickleValue;

const calls: ReadonlyMap<string, Call> = new Map<string, Call>([
  ["collections.OrderedDict", ([pairs = []], spend) => orderedDict(pairs, spend)],
  ["torch.Size", ([extents = []]) => extents],
  [
    "torch._utils._rebuild_tensor",
    ([storage, offset, shape, strides]) => tensorOf({ storage, offset, shape, strides }),
  ],
  [
    "torch._utils._rebuild_tensor_v2",
    ([storage, offset, shape, strides]) => tensorOf({ storage, offset, shape, strides }),
  ],
  ["torch._utils._rebuild_parameter", ([tensor]) => parameterOf(tensor)],
  ["torch._utils._rebuild_parameter_with_state", ([tensor]) => parameterOf(tensor)],
]);

/** @throws ConsiliumError "input-unsupported" for a name that weights do not need */
export function allowedGlobal(module: string, name: string): GlobalName {
  const full = `${module}.${name}`;
  if (storageTypes.has(full) || inertNames.has(full) || calls.has(full)) return new GlobalName(full);
  throw refusedPickle(`it names ${JSON.stringify(full.slice(0, 100))}, which is not among what weights are made of`);
}

/**
 * What a call of an allowed name gives.
 * @param spend called with the number of entries that are copied, so that copies of copies are bounded
 */
export function callGlobal(callee: PickleValue, args: PickleValue, spend: (entries: number) => void): PickleValue {
  if (!(callee instanceof GlobalName) || !Array.isArray(args)) throw refusedPickle("it calls something without a name");
  if (inertNames.has(callee.name)) return new Inert(callee.name);
  const call = calls.get(callee.name);
  if (call === undefined) throw refusedPickle(`it calls ${callee.name}`);
  return call(args, spend);
}

/** @throws ConsiliumError for anything but an object that weights do not need */
export function newInert(type: PickleValue): Inert {
  if (type instanceof GlobalName && inertNames.has(type.name)) return new Inert(type.name);
  const name = type instanceof GlobalName ? `a ${type.name}` : "an object without a type's name";
  throw refusedPickle(`it makes ${name} without a call`);
}

/** A persistent id: ("storage", type, key of the archive's entry, device, number of values). */
export function storageOf(id: PickleValue): StorageRecord {
  if (!Array.isArray(id) || id[0] !== "storage") throw refusedPickle("it refers to something other than a storage");
  const [, type, key, , length] = id;
  const dtype = type instanceof GlobalName ? storageTypes.get(type.name) : undefined;
  if (dtype === undefined) throw refusedPickle("it has a storage of an unknown type");
  if (typeof key !== "string" || !isCount(length)) throw damagedPickle("a storage has no key or no length");
  return new StorageRecord(dtype, key, length);
}

function orderedDict(pairs: PickleValue, spend: (entries: number) => void): Map<PickleValue, PickleValue> {
  if (!Array.isArray(pairs)) throw refusedPickle("it makes a dictionary from something other than pairs");
  spend(pairs.length);
  const map = new Map<PickleValue, PickleValue>();
  for (const pair of pairs) {
    const [key, value] = Array.isArray(pair) ? pair : [];
    if (key === undefined || value === undefined) throw damagedPickle("a dictionary's pair is none");
    map.set(key, value);
  }
  return map;
}

/** PyTorch's own limit on dimensions is 64; weights have at most five. */
const mostDimensions = 16;
const mostValues = 2 ** 31;

type View = Readonly<Record<"storage" | "offset" | "shape" | "strides", PickleValue | undefined>>;

function tensorOf({ storage, offset, shape, strides }: View): TensorRecord {
  if (!(storage instanceof StorageRecord) || !isCount(offset) || !isCounts(shape) || !isCounts(strides)) {
    throw damagedPickle("a tensor has no storage, offset, shape or strides");
  }
  if (shape.length !== strides.length) throw damagedPickle("a tensor's strides do not fit its shape");
  const values = sizeOf(shape);
  if (values > mostValues) throw damagedPickle(`a tensor claims ${values} values`);
  const last = shape.reduce((place, extent, axis) => place + (extent - 1) * (strides[axis] ?? 0), offset);
  const inside = values === 0 ? offset <= storage.length : last < storage.length;
  if (!inside) throw damagedPickle(`a tensor lies outside its storage of ${storage.length} values`);
  return new TensorRecord(storage, offset, [...shape], [...strides]);
}

function parameterOf(tensor: PickleValue | undefined): TensorRecord {
  if (tensor instanceof TensorRecord) return tensor;
  throw damagedPickle("a parameter has no tensor");
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.length <= mostDimensions && value.every(isCount);
}
