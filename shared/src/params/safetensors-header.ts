import { ConsiliumError } from "../errors.js";
import { sizeOf } from "./layout.js";
import { valueBytes } from "./tensor-values.js";

/** Header of the safetensors format: 8-byte little-endian length, then JSON padded with spaces. */

export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte, counted from `dataOffset`. */
  readonly start: number;
  /** One past the last byte, counted from `dataOffset`. */
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: Map<string, TensorEntry>;
  readonly metadata: Record<string, string>;
  /** Position in the file of the first tensor's first byte. */
  readonly dataOffset: number;
}

export const lengthBytes = 8;
export const maxHeaderBytes = 16 * 2 ** 20;
const metadataKey = "__metadata__";

export function unreadable(reason: string): ConsiliumError {
  return new ConsiliumError("input-unreadable", `not a safetensors file: ${reason}`, {
    remedy: "fetch or export the file again; it is damaged or has another format",
  });
}

/** Header of a file of F32 tensors that follow each other in the order given, without gaps. */
export function encodeHeader(
  tensors: readonly TensorShape[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  let offset = 0;
  const entries: [string, unknown][] = Object.keys(metadata).length === 0 ? [] : [[metadataKey, metadata]];
  for (const { name, shape } of tensors) {
    const end = offset + 4 * sizeOf(shape);
    entries.push([name, { dtype: "F32", shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(lengthBytes + padded, " ");
  bytes.writeBigUInt64LE(BigInt(padded));
  json.copy(bytes, lengthBytes);
  return new Uint8Array(bytes);
}

/** Bytes of JSON that follow the first eight. @throws ConsiliumError "input-unreadable" */
export function headerLength(bytes: Uint8Array): number {
  if (bytes.length < lengthBytes) throw unreadable("it is shorter than a header's length");
  const length = new DataView(bytes.buffer, bytes.byteOffset, lengthBytes).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) throw unreadable(`its header claims ${length} bytes`);
  return Number(length);
}

/**
 * @param bytes the file, or at least its header
 * @param fileBytes size of the whole file where that is known; the tensors must then fill it exactly
 * @throws ConsiliumError "input-unreadable" for anything but tensors that follow each other without gap or overlap
 */
export function parseHeader(bytes: Uint8Array, fileBytes?: number): SafetensorsHeader {
  const dataOffset = lengthBytes + headerLength(bytes);
  if (bytes.length < dataOffset) throw unreadable("it ends inside its header");
  const json = parseJson(bytes.subarray(lengthBytes, dataOffset));
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === metadataKey) metadata = parseMetadata(value);
    else tensors.set(name, parseEntry(name, value));
  }
  requireContiguous(tensors, fileBytes === undefined ? undefined : fileBytes - dataOffset);
  return { tensors, metadata, dataOffset };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}

function parseJson(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw unreadable("its header is not JSON");
  }
  if (!isRecord(value)) throw unreadable("its header is not a JSON object");
  return value;
}

function parseMetadata(value: unknown): Record<string, string> {
  if (!isRecord(value)) throw unreadable("its metadata is not an object");
  const entries = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== "string") throw unreadable(`metadata ${JSON.stringify(key)} is not text`);
    return [key, text];
  });
  return Object.fromEntries(entries);
}

function parseEntry(name: string, value: unknown): TensorEntry {
  const label = `tensor ${JSON.stringify(name)}`;
  if (!isRecord(value)) throw unreadable(`${label} is not an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const bytes = typeof dtype === "string" ? valueBytes(dtype) : undefined;
  if (typeof dtype !== "string" || bytes === undefined) throw unreadable(`${label} has an unknown type`);
  if (!isCounts(shape)) throw unreadable(`${label} has no valid shape`);
  if (!isCounts(offsets) || offsets.length !== 2) throw unreadable(`${label} has no valid offsets`);
  const [start = 0, end = 0] = offsets;
  if (end - start !== sizeOf(shape) * bytes) throw unreadable(`${label} has other bytes than its shape needs`);
  return { dtype, shape, start, end };
}

/** @param dataBytes bytes after the header, where known */
function requireContiguous(tensors: ReadonlyMap<string, TensorEntry>, dataBytes: number | undefined): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  let expected = 0;
  for (const [name, { start, end }] of ordered) {
    if (start !== expected) {
      throw unreadable(`tensor ${JSON.stringify(name)} ${start < expected ? "overlaps another" : "follows a gap"}`);
    }
    expected = end;
  }
  if (dataBytes !== undefined && dataBytes !== expected) {
    throw unreadable(`it holds ${dataBytes} bytes of data and its header describes ${expected}`);
  }
}
