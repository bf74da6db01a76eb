/** IEEE 754 binary16 of each number: rounded to nearest, ties to even; infinite above 65504. */
export function halfBits(numbers: Float32Array): Uint16Array {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  return Uint16Array.from(bits, halfOf);
}

/** @param bits of a float32 */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // From 65520 on, halfway to the number after the largest, everything rounds to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  const exponent = (magnitude >>> 23) - 112;
  if (exponent >= 1) return sign | roundedShift(magnitude - (112 << 23), 13);
  // Below 2^-14 the spacing is even: the hidden bit moves into the fraction.
  return exponent < -10 ? sign : sign | roundedShift((magnitude & 0x7fffff) | 0x800000, 14 - exponent);
}

/** bits / 2^shift, ties to even; a carry moves into the exponent as it should. */
function roundedShift(bits: number, shift: number): number {
  const kept = bits >>> shift;
  const rest = bits & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}
