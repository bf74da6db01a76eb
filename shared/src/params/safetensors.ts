import { type FileHandle, open } from "node:fs/promises";
import { endianness } from "node:os";
import { ConsiliumError } from "../errors.js";
import { openInput, readExactly } from "./input-file.js";
import { sizeOf } from "./layout.js";
import {
  encodeHeader,
  headerLength,
  lengthBytes,
  parseHeader,
  type SafetensorsHeader,
  type TensorEntry,
  unreadable,
} from "./safetensors-header.js";
import { decodeFloats } from "./tensor-values.js";

export { encodeHeader, parseHeader, type SafetensorsHeader, type TensorEntry } from "./safetensors-header.js";

/** A tensor with its values, row-major. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface NamedTensor extends StoredTensor {
  readonly name: string;
}

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

function asBytes(data: Float32Array): Uint8Array {
  if (endianness() !== "LE") {
    throw new ConsiliumError("input-unsupported", "safetensors files need a little-endian machine");
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Writes F32 tensors one after the other, and is durable when it returns. Not atomic: write beside and rename where a
 * reader may come by.
 * @throws ConsiliumError "internal" when a tensor's values do not fill its shape
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const { name, shape, data } of tensors) {
    if (sizeOf(shape) !== data.length) {
      throw new ConsiliumError("internal", `tensor ${name} has ${data.length} values for shape [${shape.join(", ")}]`);
    }
  }
  const file = await open(path, "w");
  try {
    await file.writeFile(encodeHeader(tensors, metadata));
    for (const { data } of tensors) await file.writeFile(asBytes(data));
    await file.sync();
  } finally {
    await file.close();
  }
}

function endsTooEarly(): ConsiliumError {
  return unreadable("it ends too early");
}

/**
 * The header alone, checked against the size of the file.
 * @throws ConsiliumError "input-unreadable"
 */
export async function readSafetensorsHeader(file: FileHandle): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  if (size < lengthBytes) throw unreadable("it is shorter than a header's length");
  const prefix = new Uint8Array(lengthBytes);
  await readExactly(file, { buffer: prefix, position: 0 }, endsTooEarly);
  const length = lengthBytes + headerLength(prefix);
  if (length > size) throw unreadable("it ends inside its header");
  const header = new Uint8Array(length);
  await readExactly(file, { buffer: header, position: 0 }, endsTooEarly);
  return parseHeader(header, size);
}

/** A tensor's place in an open file. */
export interface TensorPlace extends TensorEntry {
  readonly name: string;
  readonly dataOffset: number;
}

/**
 * Its values as 32-bit floats.
 * @throws ConsiliumError "input-unreadable", or "input-unsupported" for values that are no floats
 */
export async function readTensor(file: FileHandle, place: TensorPlace): Promise<StoredTensor> {
  const { name, dtype, shape, start, end, dataOffset } = place;
  const bytes = new Uint8Array(end - start);
  await readExactly(file, { buffer: bytes, position: dataOffset + start }, endsTooEarly);
  // A fresh array is aligned, so that the common type needs no copy.
  const data = dtype === "F32" && endianness() === "LE" ? new Float32Array(bytes.buffer) : decodeFloats(bytes, dtype);
  if (data !== undefined) return { shape, data };
  throw new ConsiliumError("input-unsupported", `tensor ${name} has type ${dtype}`, {
    remedy: "convert the file to F32, F16, BF16 or F64",
  });
}

/**
 * @throws ConsiliumError "input-unreadable" for a damaged file, "input-unsupported" for tensors that hold no floats
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openInput(path);
  try {
    const { tensors, metadata, dataOffset } = await readSafetensorsHeader(file);
    const read = new Map<string, StoredTensor>();
    for (const [name, entry] of tensors) read.set(name, await readTensor(file, { ...entry, name, dataOffset }));
    return { tensors: read, metadata };
  } finally {
    await file.close();
  }
}
