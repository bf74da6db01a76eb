/** For tests: pickles as torch.save writes them (protocol 2), and single instructions for those that nobody should. */

const bytes = (...parts: (number | string | Uint8Array)[]): Uint8Array =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === "number" ? Uint8Array.of(part) : typeof part === "string" ? Buffer.from(part, "latin1") : part,
    ),
  );

const uint32 = (value: number): Uint8Array => {
  const four = Buffer.alloc(4);
  four.writeUInt32LE(value);
  return four;
};

const float64 = (value: number): Uint8Array => {
  const eight = Buffer.alloc(8);
  eight.writeDoubleBE(value);
  return eight;
};

/** A tensor as the file describes it; its values are an entry of the archive. */
export class PickledTensor {
  readonly key: string;
  readonly shape: readonly number[];
  readonly options: {
    readonly storage?: string;
    readonly length?: number;
    readonly offset?: number;
    readonly strides?: readonly number[];
    readonly parameter?: boolean;
  };

  constructor(key: string, shape: readonly number[], options: PickledTensor["options"] = {}) {
    this.key = key;
    this.shape = shape;
    this.options = options;
  }
}

export type Picklable =
  | null
  | boolean
  | number
  | string
  | readonly Picklable[]
  | Map<string, Picklable>
  | PickledTensor;

export const ops = {
  proto: bytes(0x80, 2),
  stop: bytes("."),
  mark: bytes("("),
  emptyTuple: bytes(")"),
  reduce: bytes("R"),
  build: bytes("b"),
  newObject: bytes(0x81),
  object: bytes("o"),
  persistent: bytes("Q"),
  global: (module: string, name: string) => bytes(`c${module}\n${name}\n`),
  stackGlobal: (module: string, name: string) => bytes(text(module), text(name), 0x93),
  instance: (module: string, name: string) => bytes(`(i${module}\n${name}\n`),
  extension: (code: number) => bytes(0x82, code),
  tuple: (...items: readonly Uint8Array[]) => bytes("(", ...items, "t"),
  join: (...parts: readonly Uint8Array[]) => bytes(...parts),
};

export function text(value: string): Uint8Array {
  const encoded = Buffer.from(value);
  return bytes("X", uint32(encoded.length), encoded);
}

function number(value: number): Uint8Array {
  return Number.isInteger(value) && Math.abs(value) < 2 ** 31
    ? bytes("J", uint32(value >>> 0))
    : bytes("G", float64(value));
}

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
}

const orderedDict = (): Uint8Array => bytes(ops.global("collections", "OrderedDict"), ")R");

function tensor({ key, shape, options }: PickledTensor): Uint8Array {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const { storage = "FloatStorage", length = size, offset = 0, strides = rowMajor(shape), parameter = false } = options;
  const id = ops.tuple(text("storage"), ops.global("torch", storage), text(key), text("cpu"), number(length));
  const view = ops.tuple(
    bytes(id, ops.persistent),
    number(offset),
    ops.tuple(...shape.map(number)),
    ops.tuple(...strides.map(number)),
    bytes(0x89),
    orderedDict(),
  );
  const made = bytes(ops.global("torch._utils", "_rebuild_tensor_v2"), view, ops.reduce);
  if (!parameter) return made;
  const args = ops.tuple(made, bytes(0x88), orderedDict());
  return bytes(ops.global("torch._utils", "_rebuild_parameter"), args, ops.reduce);
}

/** One value's instructions, without the pickle's beginning and end. */
export function valueOps(value: Picklable): Uint8Array {
  if (value === null) return bytes("N");
  if (typeof value === "boolean") return bytes(value ? 0x88 : 0x89);
  if (typeof value === "number") return number(value);
  if (typeof value === "string") return text(value);
  if (value instanceof PickledTensor) return tensor(value);
  if (value instanceof Map) {
    const items = [...value].flatMap(([key, item]) => [text(key), valueOps(item)]);
    return bytes(orderedDict(), "(", ...items, "u");
  }
  return bytes("](", ...value.map(valueOps), "e");
}

export function pickleOf(value: Picklable): Uint8Array {
  return bytes(ops.proto, valueOps(value), ops.stop);
}

export function pickleOfOps(...parts: readonly Uint8Array[]): Uint8Array {
  return bytes(ops.proto, ...parts, ops.stop);
}
