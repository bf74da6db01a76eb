/** χ² of the byte frequencies against the uniform distribution: 255 degrees of freedom. */
export function byteChiSquare(bytes: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const byte of bytes) counts[byte]!++;
  const expected = bytes.length / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** The value that uniform bytes exceed with p = 1e-4, by the approximation of Wilson and Hilferty. */
export const chiSquareLimit = 255 * (1 - 2 / (9 * 255) + 3.719 * Math.sqrt(2 / (9 * 255))) ** 3;
