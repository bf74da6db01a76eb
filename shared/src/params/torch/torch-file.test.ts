import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConsiliumError } from "../../errors.js";
import { randomFor } from "../../random.js";
import { ops, type Picklable, PickledTensor, pickleOfOps, text, valueOps } from "../testing/pickle-writer.js";
import { float32, type TorchContent, torchFileOf } from "../testing/torch-writer.js";
import { zipOf } from "../testing/zip-writer.js";
import { type PickleValue, TensorRecord } from "./pickle-values.js";
import { openTorchFile } from "./torch-file.js";

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "torch-file-"));
  path = join(directory, "a.pth");
});
afterEach(() => rm(directory, { recursive: true }));

interface Read {
  readonly root: PickleValue;
  readonly tensors: ReadonlyMap<string, readonly number[]>;
}

async function readBytes(bytes: Uint8Array): Promise<Read> {
  await writeFile(path, bytes);
  const file = await open(path);
  try {
    const { root, readTensor } = await openTorchFile(file);
    const tensors = new Map<string, readonly number[]>();
    for (const [name, value] of root instanceof Map ? root : []) {
      if (typeof name !== "string" || !(value instanceof TensorRecord)) continue;
      tensors.set(name, Array.from(await readTensor(value)));
    }
    return { root, tensors };
  } finally {
    await file.close();
  }
}

const read = (content: TorchContent) => readBytes(torchFileOf(content));
const named = (entries: Readonly<Record<string, Picklable>>) => new Map(Object.entries(entries));

async function refusal(bytes: Uint8Array): Promise<ConsiliumError> {
  const thrown = await readBytes(bytes).catch((error: unknown) => error);
  if (thrown instanceof ConsiliumError) return thrown;
  throw new Error(`accepted, or failed without a code: ${String(thrown)}`);
}

const plain: TorchContent = {
  pickle: named({ a: new PickledTensor("0", [2, 2]), b: new PickledTensor("1", [3], { parameter: true }), epoch: 7 }),
  storages: { "0": float32(1, 2, 3, 4), "1": float32(-1, 0.5, 9) },
};

describe("openTorchFile", () => {
  it.each([
    ["stored", {}],
    ["deflated", { deflated: true }],
    ["64-bit", { wide: true }],
  ])("reads a %s archive", async (_, how) => {
    const { root, tensors } = await read({ ...plain, ...how });
    expect([...tensors]).toEqual([
      ["a", [1, 2, 3, 4]],
      ["b", [-1, 0.5, 9]],
    ]);
    expect(root instanceof Map && root.get("epoch")).toBe(7);
  });

  it("follows strides and offsets, as of transposed, cut and spread tensors", async () => {
    const { tensors } = await read({
      pickle: named({
        transposed: new PickledTensor("0", [3, 2], { length: 6, strides: [1, 3] }),
        column: new PickledTensor("0", [2, 1], { length: 6, strides: [3, 1], offset: 2 }),
        spread: new PickledTensor("0", [2, 3], { length: 6, strides: [0, 1], offset: 1 }),
        row: new PickledTensor("0", [3], { length: 6, offset: 3 }),
        scalar: new PickledTensor("0", [], { length: 6, offset: 5 }),
        empty: new PickledTensor("0", [0, 4], { length: 6 }),
      }),
      storages: { "0": float32(0, 1, 2, 3, 4, 5) },
    });
    expect(Object.fromEntries(tensors)).toEqual({
      transposed: [0, 3, 1, 4, 2, 5],
      column: [2, 5],
      spread: [1, 2, 3, 1, 2, 3],
      row: [3, 4, 5],
      scalar: [5],
      empty: [],
    });
  });

  it("reads every type of floats, and names integers", async () => {
    const of = (storage: string) => named({ a: new PickledTensor("0", [2], { storage }) });
    const bytes = (array: { readonly buffer: ArrayBuffer }) => ({ "0": new Uint8Array(array.buffer) });
    const half = await read({ pickle: of("HalfStorage"), storages: bytes(Uint16Array.of(0x3e00, 0xc000)) });
    const brain = await read({ pickle: of("BFloat16Storage"), storages: bytes(Uint16Array.of(0x3fc0, 0xc000)) });
    const double = await read({ pickle: of("DoubleStorage"), storages: bytes(Float64Array.of(1.5, -2)) });
    for (const { tensors } of [half, brain, double]) expect(tensors.get("a")).toEqual([1.5, -2]);
    const long = torchFileOf({ pickle: of("LongStorage"), storages: bytes(BigInt64Array.of(1n, 2n)) });
    expect(await refusal(long)).toMatchObject({
      code: "input-unsupported",
      message: expect.stringMatching(/type I64/),
    });
  });

  it("keeps keys that are special in JavaScript as keys", async () => {
    const { root } = await read({ pickle: named({ ["__proto__"]: named({ polluted: true }), constructor: 1 }) });
    expect(root instanceof Map && [...root.keys()]).toEqual(["__proto__", "constructor"]);
    expect("polluted" in {}).toBe(false);
  });

  it("drops what training scripts keep beside weights", async () => {
    const namespace = ops.join(
      ops.global("argparse", "Namespace"),
      ops.join(ops.emptyTuple, ops.newObject),
      ops.join(valueOps(named({ lr: 0.1 })), ops.build),
    );
    const items = [text("args"), namespace, text("a"), valueOps(new PickledTensor("0", [1]))];
    const pickle = pickleOfOps(ops.join(valueOps(new Map()), ops.mark, ...items, Buffer.from("u")));
    const { tensors } = await read({ pickle, storages: { "0": float32(3) } });
    expect([...tensors]).toEqual([["a", [3]]]);
  });
});

describe("code in a PyTorch file", () => {
  const command = ops.tuple(text("touch /tmp/owned"));
  const hostile: readonly [string, Uint8Array, RegExp][] = [
    ["GLOBAL os.system", ops.join(ops.global("os", "system"), command, ops.reduce), /"os\.system"/],
    ["GLOBAL posix.system", ops.join(ops.global("posix", "system"), command, ops.reduce), /"posix\.system"/],
    ["STACK_GLOBAL", ops.join(ops.stackGlobal("builtins", "eval"), command, ops.reduce), /"builtins\.eval"/],
    ["a name without a call", ops.global("subprocess", "Popen"), /"subprocess\.Popen"/],
    ["INST", ops.instance("os", "system"), /INST/],
    ["OBJ", ops.join(ops.mark, ops.global("collections", "OrderedDict"), ops.object), /OBJ/],
    ["NEWOBJ", ops.join(ops.global("torch", "FloatStorage"), ops.emptyTuple, ops.newObject), /torch\.FloatStorage/],
    ["EXT", ops.extension(7), /EXT1/],
    ["a call of a value", ops.join(text("os"), ops.emptyTuple, ops.reduce), /calls something without a name/],
    ["a call of a storage's type", ops.join(ops.global("torch", "FloatStorage"), ops.emptyTuple, ops.reduce), /calls/],
    [
      "a state for a name",
      ops.join(ops.global("torch", "Size"), valueOps(new Map()), ops.build),
      /changes torch\.Size/,
    ],
    ["a module", ops.global("torch.nn.modules.linear", "Linear"), /torch\.nn\.modules\.linear\.Linear/],
    ["a dotted way to a function", ops.stackGlobal("torch", "_utils.os.system"), /torch\._utils\.os\.system/],
    ["a property of all objects", ops.global("__proto__", "constructor"), /__proto__\.constructor/],
    ["another persistent id", ops.join(ops.tuple(text("module"), text("x")), ops.persistent), /storage/],
  ];

  it.each(hostile)("is refused: %s", async (_, code, words) => {
    const refused = await refusal(torchFileOf({ pickle: pickleOfOps(code) }));
    expect(refused.code).toBe("input-unsupported");
    expect(refused.message).toMatch(words);
    expect(refused.remedy).toMatch(/state_dict/);
  });
});

describe("damaged PyTorch files", () => {
  const damagedTensors: readonly [string, PickledTensor][] = [
    ["beyond its storage", new PickledTensor("0", [5], { length: 4 })],
    ["beyond it by strides", new PickledTensor("0", [2, 2], { length: 4, strides: [3, 1] })],
    ["beyond it by an offset", new PickledTensor("0", [2], { length: 4, offset: 3 })],
    ["of a size that overflows", new PickledTensor("0", [2 ** 30, 2 ** 30], { length: 4, strides: [0, 0] })],
    ["with a negative offset", new PickledTensor("0", [2], { length: 4, offset: -1 })],
    ["with a negative stride", new PickledTensor("0", [2], { length: 4, offset: 3, strides: [-1] })],
    ["with too few strides", new PickledTensor("0", [2, 2], { length: 4, strides: [1] })],
    ["of a storage that is missing", new PickledTensor("1", [4])],
    ["of a storage with other bytes", new PickledTensor("0", [2])],
  ];
  it.each(damagedTensors)("are refused: a tensor %s", async (_, tensor) => {
    const bytes = torchFileOf({ pickle: named({ a: tensor }), storages: { "0": float32(1, 2, 3, 4) } });
    expect((await refusal(bytes)).code).toBe("input-unreadable");
  });

  const data = Buffer.alloc(1000, 1);
  const pickle = { name: "archive/data.pkl", data };
  const damagedArchives: readonly [string, Uint8Array][] = [
    ["an entry that claims more than it holds", zipOf([{ ...pickle, claims: { bytes: 2000 } }])],
    [
      "a bomb that claims little",
      zipOf([{ ...pickle, data: Buffer.alloc(10 ** 7), deflated: true, claims: { bytes: 9 } }]),
    ],
    ["a bomb that claims much", zipOf([{ ...pickle, deflated: true, claims: { bytes: 2 ** 31 } }])],
    ["an entry that reaches into the next", zipOf([{ ...pickle, claims: { storedBytes: 1100, bytes: 1100 } }, pickle])],
    ["two entries at one place", zipOf([pickle, { ...pickle, name: "b", claims: { headerStart: 0 } }])],
    ["two entries of one name", zipOf([pickle, pickle])],
    ["a place behind the end", zipOf([{ ...pickle, claims: { headerStart: 2 ** 31 } }])],
    ["a wrong checksum", zipOf([{ ...pickle, claims: { crc32: 1 } }])],
    ["no end", torchFileOf(plain).subarray(0, -30)],
  ];
  it.each(damagedArchives)("are refused: %s", async (_, bytes) => {
    expect((await refusal(bytes)).code).toBe("input-unreadable");
  });

  const unsupported: readonly [string, Uint8Array, RegExp][] = [
    ["an encrypted entry", zipOf([{ ...pickle, claims: { flags: 1 } }]), /encrypted/],
    ["another compression", zipOf([{ ...pickle, claims: { method: 12 } }]), /method 12/],
    ["big-endian values", torchFileOf({ ...plain, byteOrder: "big" }), /byte order "big"/],
    ["no pickle", zipOf([{ name: "readme.txt", data }]), /0 entries data\.pkl/],
    ["a compiled model", torchFileOf({ ...plain, further: [{ name: "archive/constants.pkl", data }] }), /TorchScript/],
    ["a file of PyTorch before 1.6", Buffer.concat([ops.proto, Buffer.alloc(100)]), /since version 1\.6/],
    ["an old protocol", torchFileOf({ pickle: Buffer.from([0x80, 1, 0x2e]) }), /protocol 1/],
  ];
  it.each(unsupported)("are refused with a remedy: %s", async (_, bytes, words) => {
    const refused = await refusal(bytes);
    expect(refused).toMatchObject({ code: "input-unsupported", message: expect.stringMatching(words) });
    expect(refused.remedy).toBeDefined();
  });

  it("are refused when their pickle copies itself over and over", async () => {
    const pair = ops.tuple(text("k"), text("v"));
    const pairs = ops.join(Buffer.from("]("), ...Array.from({ length: 100 }, () => pair), Buffer.from("eq\u0001"));
    const copy = ops.join(ops.global("collections", "OrderedDict"), Buffer.from("h\u0001\u0085", "latin1"), ops.reduce);
    const bytes = torchFileOf({ pickle: pickleOfOps(pairs, ...Array.from({ length: 200 }, () => copy)) });
    expect((await refusal(bytes)).message).toMatch(/copies its own content/);
  });

  it("are refused wherever they are cut", async () => {
    const whole = torchFileOf(plain);
    for (let length = 0; length < whole.length; length += 7) {
      expect(["input-unreadable", "input-unsupported"]).toContain((await refusal(whole.subarray(0, length))).code);
    }
  });

  /** "read" with the tensors, or the error's code. */
  async function outcomeOf(bytes: Uint8Array): Promise<string> {
    try {
      return `read ${JSON.stringify([...(await readBytes(bytes)).tensors])}`;
    } catch (thrown) {
      return thrown instanceof ConsiliumError ? thrown.code : `wrong error ${String(thrown)}`;
    }
  }

  it("give the true values or a readable error, whichever bits are flipped", async () => {
    const random = randomFor("bit flips", 1);
    const archives = [torchFileOf(plain), torchFileOf({ ...plain, deflated: true })];
    const truth = await outcomeOf(torchFileOf(plain));
    for (let round = 0; round < 500; round++) {
      const bytes = Uint8Array.from(archives[round % 2] ?? []);
      const at = Math.floor(random.uniform() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random.uniform() * 8));
      expect([truth, "input-unreadable", "input-unsupported"]).toContain(await outcomeOf(bytes));
    }
  });

  it("give values or a readable error when the pickle alone is damaged, which no checksum then notices", async () => {
    const random = randomFor("pickle flips", 1);
    const sound = pickleOfOps(valueOps(named({ a: new PickledTensor("0", [2]), n: [1, 2.5, null, "x"] })));
    for (let round = 0; round < 500; round++) {
      const pickle = Uint8Array.from(sound);
      pickle[Math.floor(random.uniform() * pickle.length)] = Math.floor(random.uniform() * 256);
      const outcome = await outcomeOf(torchFileOf({ pickle, storages: { "0": float32(1, 2) } }));
      expect(outcome).toMatch(/^(?:read .*|input-unreadable|input-unsupported)$/);
    }
  });
});
