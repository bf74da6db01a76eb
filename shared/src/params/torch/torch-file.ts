import type { FileHandle } from "node:fs/promises";
import { ConsiliumError } from "../../errors.js";
import { sizeOf } from "../layout.js";
import { decodeFloats, valueBytes } from "../tensor-values.js";
import { damagedPickle, refusedPickle } from "./pickle-errors.js";
import { readPickle } from "./pickle-reader.js";
import type { PickleValue, TensorRecord } from "./pickle-values.js";
import { readZipDirectory, type ZipEntry } from "./zip-directory.js";
import { readZipEntry } from "./zip-entry.js";

const zipMagic = [0x50, 0x4b, 0x03, 0x04];

const maxPickleBytes = 64 * 2 ** 20;
/** Node's own limit on a buffer is 4 GiB; no tensor of weights comes near this. */
const maxStorageBytes = 2 ** 31;

/** A file of torch.save, opened: the description of its objects is read, the values are not yet. */
export interface TorchFile {
  readonly root: PickleValue;
  /**
   * A tensor's values, row-major, as 32-bit floats.
   * @throws ConsiliumError "input-unreadable", or "input-unsupported" for values that are no floats
   */
  readonly readTensor: (tensor: TensorRecord) => Promise<Float32Array>;
}

/** Whether the file begins as a zip archive does. */
export async function looksLikeZip(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(new Uint8Array(4), 0, 4, 0);
  return bytesRead === 4 && zipMagic.every((byte, index) => buffer[index] === byte);
}

/**
 * Reads what `torch.save` writes since PyTorch 1.6: a zip archive with `data.pkl`, whose pickle is read without running
 * it, and one entry per storage.
 * @throws ConsiliumError "input-unsupported" for older files, compiled models and pickles with code; "input-unreadable"
 */
export async function openTorchFile(file: FileHandle): Promise<TorchFile> {
  if (!(await looksLikeZip(file))) throw legacyFormat();
  const entries = await readZipDirectory(file);
  const folder = findFolder(entries);
  await requireLittleEndian(file, entries.get(`${folder}byteorder`));
  const root = readPickle(await readZipEntry(file, entryOf(entries, `${folder}data.pkl`), maxPickleBytes));
  return { root, readTensor: (tensor) => readTensor(file, entryOf(entries, storageName(folder, tensor)), tensor) };
}

function legacyFormat(): ConsiliumError {
  return new ConsiliumError("input-unsupported", "not a zip archive, which PyTorch writes since version 1.6", {
    remedy:
      "rewrite it where you trust it: torch.save(torch.load(path, map_location='cpu', weights_only=True), new_path)",
  });
}

/** The archive's one folder, with a slash at its end. */
function findFolder(entries: ReadonlyMap<string, ZipEntry>): string {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [first] = pickles;
  if (first === undefined || pickles.length > 1) {
    throw new ConsiliumError("input-unsupported", `a zip archive with ${pickles.length} entries data.pkl, not one`, {
      remedy: "give a file that torch.save wrote",
    });
  }
  const folder = first.slice(0, -"data.pkl".length);
  if (entries.has(`${folder}constants.pkl`)) throw refusedPickle("it is a compiled TorchScript model");
  return folder;
}

async function requireLittleEndian(file: FileHandle, entry: ZipEntry | undefined): Promise<void> {
  // PyTorch wrote no such entry before 2.1, and big-endian machines were rare.
  if (entry === undefined) return;
  const order = new TextDecoder().decode(await readZipEntry(file, entry, 16)).trim();
  if (order === "little") return;
  throw new ConsiliumError("input-unsupported", `its values have the byte order ${JSON.stringify(order)}`, {
    remedy: "save it again on a little-endian machine",
  });
}

function storageName(folder: string, { storage }: TensorRecord): string {
  return `${folder}data/${storage.key}`;
}

function entryOf(entries: ReadonlyMap<string, ZipEntry>, name: string): ZipEntry {
  const entry = entries.get(name);
  if (entry === undefined) throw damagedPickle(`its entry ${JSON.stringify(name.slice(0, 100))} is missing`);
  return entry;
}

async function readTensor(file: FileHandle, entry: ZipEntry, tensor: TensorRecord): Promise<Float32Array> {
  const { storage } = tensor;
  if (entry.bytes !== storage.length * (valueBytes(storage.dtype) ?? 0)) {
    throw damagedPickle(`a storage of ${storage.length} values has ${entry.bytes} bytes`);
  }
  const values = decodeFloats(await readZipEntry(file, entry, maxStorageBytes), storage.dtype);
  if (values !== undefined) return gather(values, tensor);
  throw new ConsiliumError("input-unsupported", `a tensor has values of type ${storage.dtype}`, {
    remedy: "give a file whose weights are floats",
  });
}

function isContiguous({ shape, strides }: TensorRecord): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis] ?? 1;
  }
  return true;
}

/** The view's values, row-major. */
function gather(values: Float32Array, tensor: TensorRecord): Float32Array {
  const { offset, shape, strides } = tensor;
  const size = sizeOf(shape);
  if (isContiguous(tensor)) return values.slice(offset, offset + size);
  const result = new Float32Array(size);
  const index = shape.map(() => 0);
  let place = offset;
  for (let at = 0; at < size; at++) {
    result[at] = values[place] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += strides[axis] ?? 0;
      index[axis] = (index[axis] ?? 0) + 1;
      if (index[axis] !== shape[axis]) break;
      place -= (strides[axis] ?? 0) * (shape[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return result;
}
