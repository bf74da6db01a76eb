import { endianness } from "node:os";
import { VolumeFault } from "./volume-fault.js";

const arrays = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

/** How a voxel is stored. */
export type SampleType = keyof typeof arrays;

export interface SampleLayout {
  readonly type: SampleType;
  readonly littleEndian: boolean;
  /** value = stored × slope + intercept */
  readonly slope: number;
  readonly intercept: number;
}

export function bytesOf(type: SampleType): number {
  return arrays[type].BYTES_PER_ELEMENT;
}

export function isIntegerType(type: SampleType): boolean {
  return !type.startsWith("float");
}

const hostIsLittle = endianness() === "LE";

/**
 * Turns stored bytes into values as they arrive.
 * @param count values; the pieces must hold exactly as many
 */
export async function readSamples(
  pieces: AsyncIterable<Buffer>,
  count: number,
  layout: SampleLayout,
): Promise<Float32Array> {
  const values = new Float32Array(count);
  const width = bytesOf(layout.type);
  let filled = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const whole = bytes.length - (bytes.length % width);
    convert(bytes.subarray(0, whole), layout, values.subarray(filled));
    filled += whole / width;
    rest = bytes.subarray(whole);
  }
  return values;
}

function convert(bytes: Buffer, { type, littleEndian, slope, intercept }: SampleLayout, target: Float32Array): void {
  // Copied, as a typed array must begin at a multiple of its width.
  const copy = new Uint8Array(bytes);
  if (littleEndian !== hostIsLittle) swap(Buffer.from(copy.buffer), bytesOf(type));
  const stored = new arrays[type](copy.buffer);
  if (stored instanceof BigInt64Array || stored instanceof BigUint64Array) {
    for (let i = 0; i < stored.length; i++) target[i] = Number(stored[i]) * slope + intercept;
  } else {
    for (let i = 0; i < stored.length; i++) target[i] = stored[i]! * slope + intercept;
  }
}

function swap(bytes: Buffer, width: number): void {
  if (width === 2) bytes.swap16();
  else if (width === 4) bytes.swap32();
  else if (width === 8) bytes.swap64();
}

/** Longer words are no numbers. */
const longestWord = 64;

/**
 * Numbers as text, separated by white space or commas.
 * @throws VolumeFault "truncated" when there are fewer than `count`, "damaged" when a word is no number
 */
export async function readTextSamples(pieces: AsyncIterable<Buffer>, count: number): Promise<Float32Array> {
  const values = new Float32Array(count);
  let filled = 0;
  let rest = "";
  const add = (word: string): void => {
    const value = Number(word);
    if (Number.isNaN(value) && !/^[+-]?nan$/i.test(word)) throw new VolumeFault("damaged", "a voxel is no number");
    if (filled < count) values[filled++] = value;
  };
  for await (const piece of pieces) {
    const words = (rest + piece.toString("latin1")).split(/[\s,]+/);
    rest = words.pop()!;
    if (rest.length > longestWord) throw new VolumeFault("damaged", "a voxel is no number");
    for (const word of words) if (word !== "") add(word);
    if (filled === count) return values;
  }
  if (rest !== "") add(rest);
  if (filled < count) throw new VolumeFault("truncated", `${filled} of ${count} voxels are there`);
  return values;
}
