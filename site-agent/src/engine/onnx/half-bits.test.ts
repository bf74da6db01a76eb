import { expect, it } from "vitest";
import { halfBits } from "./half-bits.js";

/** The numbers of binary16 patterns, exactly. */
function fromHalfBits(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (bits) => {
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    const sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
  });
}

it("has the patterns of IEEE 754", () => {
  const numbers = [0, -0, 1, -2, 65504, 65519, 65520, 1e9, 2 ** -14, 2 ** -24, 2 ** -25, -1e-9, 1 / 3];
  const patterns = [0, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0x7c00, 0x0400, 0x0001, 0x0000, 0x8000, 0x3555];
  expect([...halfBits(Float32Array.from(numbers))]).toEqual(patterns);
  expect(halfBits(Float32Array.of(Number.NaN))[0]! & 0x7fff).toBeGreaterThan(0x7c00);
});

it("rounds ties to even, and subnormal numbers too", () => {
  const ties = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 - 2 ** -12, 1.5 * 2 ** -24, 3 * 2 ** -25 + 2 ** -40];
  expect([...halfBits(Float32Array.from(ties))]).toEqual([0x3c00, 0x3c02, 0x4000, 0x0002, 0x0002]);
});

it("reads back every number that it writes", () => {
  const all = Uint16Array.from({ length: 0x7c01 }, (_, bits) => bits);
  expect(halfBits(fromHalfBits(all))).toEqual(all);
});
