import { type FileHandle, open } from "node:fs/promises";
import { endianness } from "node:os";
import { ConsiliumError } from "../errors.js";
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

async function readExactly(file: FileHandle, buffer: Uint8Array, position: number): Promise<void> {
  let filled = 0;
  while (filled < buffer.length) {
    // One read is capped well below the 2 GiB that the operating system transfers at most.
    const length = Math.min(buffer.length - filled, 2 ** 28);
    const { bytesRead } = await file.read(buffer, filled, length, position + filled);
    if (bytesRead === 0) throw unreadable("it ends too early");
    filled += bytesRead;
  }
}

/**
 * The header alone, checked against the size of the file.
 * @throws ConsiliumError "input-unreadable"
 */
export async function readSafetensorsHeader(file: FileHandle): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  if (size < lengthBytes) throw unreadable("it is shorter than a header's length");
  const prefix = new Uint8Array(lengthBytes);
  await readExactly(file, prefix, 0);
  const length = lengthBytes + headerLength(prefix);
  if (length > size) throw unreadable("it ends inside its header");
  const header = new Uint8Array(length);
  await readExactly(file, header, 0);
  return parseHeader(header, size);
}

async function readTensor(file: FileHandle, name: string, at: TensorEntry & { dataOffset: number }) {
  if (at.dtype !== "F32") {
    throw new ConsiliumError("input-unsupported", `tensor ${name} has type ${at.dtype}`, {
      remedy: "convert the file to F32",
    });
  }
  const data = new Float32Array((at.end - at.start) / 4);
  await readExactly(file, asBytes(data), at.dataOffset + at.start);
  return { shape: at.shape, data };
}

/**
 * @throws ConsiliumError "input-unreadable" for a damaged file, "input-unsupported" for tensors other than F32
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new ConsiliumError("input-unreadable", `cannot open ${path}`, {
      cause,
      remedy: "check that the file exists and may be read",
    });
  });
  try {
    const { tensors, metadata, dataOffset } = await readSafetensorsHeader(file);
    const read = new Map<string, StoredTensor>();
    for (const [name, entry] of tensors) read.set(name, await readTensor(file, name, { ...entry, dataOffset }));
    return { tensors: read, metadata };
  } finally {
    await file.close();
  }
}
