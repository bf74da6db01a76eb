/** Bytes of one value, by the names that safetensors gives types. */
const bytesPerValue: ReadonlyMap<string, number> = new Map([
  ["F64", 8],
  ["I64", 8],
  ["U64", 8],
  ["F32", 4],
  ["I32", 4],
  ["U32", 4],
  ["F16", 2],
  ["BF16", 2],
  ["I16", 2],
  ["U16", 2],
  ["F8_E4M3", 1],
  ["F8_E5M2", 1],
  ["I8", 1],
  ["U8", 1],
  ["BOOL", 1],
]);

/** Undefined for a type that is not known. */
export function valueBytes(dtype: string): number | undefined {
  return bytesPerValue.get(dtype);
}

type ReadValue = (view: DataView, at: number) => number;

/** IEEE 754 binary16 by its bits: sign, 5 bits of exponent with a bias of 15, 10 bits of fraction. */
function half(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const word = new DataView(new ArrayBuffer(4));

/** bfloat16 is the upper half of a binary32. */
function brainFloat(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

const readers: ReadonlyMap<string, ReadValue> = new Map<string, ReadValue>([
  ["F64", (view, at) => view.getFloat64(at, true)],
  ["F32", (view, at) => view.getFloat32(at, true)],
  ["F16", (view, at) => half(view.getUint16(at, true))],
  ["BF16", (view, at) => brainFloat(view.getUint16(at, true))],
]);

/** Types that become 32-bit floats here; F64 is rounded, the others fit. */
export function isFloatType(dtype: string): boolean {
  return readers.has(dtype);
}

/**
 * Little-endian values as 32-bit floats.
 * @returns undefined for a type that is no float
 */
export function decodeFloats(bytes: Uint8Array, dtype: string): Float32Array | undefined {
  const read = readers.get(dtype);
  const size = valueBytes(dtype);
  if (read === undefined || size === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(Math.floor(bytes.length / size));
  for (let index = 0; index < values.length; index++) values[index] = read(view, index * size);
  return values;
}
