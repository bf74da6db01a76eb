import { describe, expect, it } from "vitest";
import { decodeFloats, isFloatType, valueBytes } from "./tensor-values.js";

const words = (...bits: number[]) => new Uint8Array(Uint16Array.from(bits).buffer);
const decoded = (dtype: string, bytes: Uint8Array) => Array.from(decodeFloats(bytes, dtype) ?? []);

describe("decodeFloats", () => {
  it("reads binary16 with its subnormal and largest values", () => {
    const bits = [0x0000, 0x8000, 0x3c00, 0xc000, 0x3555, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00];
    const expected = [0, -0, 1, -2, 0.333251953125, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65_504];
    expect(decoded("F16", words(...bits))).toEqual([...expected, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect(decoded("F16", words(0x7e00))).toEqual([Number.NaN]);
  });

  it("reads bfloat16 as the upper half of binary32", () => {
    expect(decoded("BF16", words(0x3f80, 0xc049, 0x0001, 0x7f80))).toEqual([
      1,
      -3.140625,
      2 ** -133,
      Number.POSITIVE_INFINITY,
    ]);
  });

  it("rounds binary64, and keeps binary32 from an odd place in memory", () => {
    expect(decoded("F64", new Uint8Array(Float64Array.of(0.1, -1e300).buffer))).toEqual([
      Math.fround(0.1),
      Number.NEGATIVE_INFINITY,
    ]);
    const shifted = new Uint8Array(9);
    shifted.set(new Uint8Array(Float32Array.of(1.5, -7).buffer), 1);
    expect(decoded("F32", shifted.subarray(1))).toEqual([1.5, -7]);
  });

  it("leaves other types alone", () => {
    expect(decodeFloats(new Uint8Array(8), "I64")).toBeUndefined();
    expect([isFloatType("BF16"), isFloatType("U8"), valueBytes("I64"), valueBytes("F31")]).toEqual([
      true,
      false,
      8,
      undefined,
    ]);
  });
});
