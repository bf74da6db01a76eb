import { describe, expect, it } from "vitest";
import { bigEndian, bits, colours, deflated, explicit, imageElements, implicit } from "./test-dicom.js";
import { rgbOf, storedOf } from "./test-object.js";

const words = (...values: number[]): Uint8Array => new Uint8Array(Int16Array.from(values).buffer);
const swapped = (...values: number[]): Uint8Array => Buffer.from(words(...values)).swap16();
const longs = (...values: number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);

describe("native pixels", () => {
  it.each([explicit, implicit, deflated])("reads 16 signed bits of %s", async (syntax) => {
    const elements = imageElements(2, 2, words(-32768, -1, 0, 32767), bits(16, 16, 15, 1));
    expect(await storedOf(elements, { syntax })).toEqual([-32768, -1, 0, 32767]);
  });

  it("reads big endian, and bytes that lie there as words", async () => {
    const elements = imageElements(2, 2, swapped(-5, 256, 1, 2), bits(16, 16, 15, 1));
    expect(await storedOf(elements, { syntax: bigEndian })).toEqual([-5, 256, 1, 2]);
    const bytes = Uint8Array.from([2, 1, 4, 3, 6, 5]);
    const frames = { "00280008": ["IS", "2"] } as const;
    expect(await storedOf(imageElements(3, 1, bytes, frames), { syntax: bigEndian })).toEqual([1, 2, 3]);
    expect(await storedOf(imageElements(3, 1, bytes, frames), { syntax: bigEndian }, 1)).toEqual([4, 5, 6]);
    const asBytes = imageElements(3, 1, bytes, { ...frames, "7fe00010": ["OB", bytes] });
    expect(await storedOf(asBytes, { syntax: bigEndian }, 1)).toEqual([3, 6, 5]);
  });

  it("masks what lies above the stored bits, such as overlays", async () => {
    const elements = imageElements(2, 1, words(0xf123, 0x8fff), bits(16, 12));
    expect(await storedOf(elements)).toEqual([0x123, 0xfff]);
  });

  it("extends the sign of the stored bits", async () => {
    const elements = imageElements(3, 1, words(0x0fff, 0x0800, 0x07ff), bits(16, 12, 11, 1));
    expect(await storedOf(elements)).toEqual([-1, -2048, 2047]);
    expect(await storedOf(imageElements(2, 1, Uint8Array.from([0xff, 0x7f]), bits(8, 8, 7, 1)))).toEqual([-1, 127]);
  });

  it("cuts values out that end below the highest bit", async () => {
    const elements = imageElements(2, 1, words(0x1230, 0xfff0), bits(16, 12, 15));
    expect(await storedOf(elements)).toEqual([0x123, 0xfff]);
    expect(await storedOf(imageElements(1, 1, words(0xfff0), bits(16, 12, 15, 1)))).toEqual([-1]);
  });

  it("reads 32 bits", async () => {
    expect(await storedOf(imageElements(2, 1, longs(-1, 70_000), bits(32, 32, 31, 1)))).toEqual([-1, 70_000]);
    expect(await storedOf(imageElements(1, 1, longs(-1), bits(32, 32)))).toEqual([0xffffffff]);
    expect(await storedOf(imageElements(1, 1, longs(-1), bits(32, 20)))).toEqual([0xfffff]);
  });

  it("reads single bits, whose frames may begin within a byte", async () => {
    const packed = Uint8Array.from([0b1010_0101, 0b0000_0011]);
    const elements = imageElements(5, 1, packed, { ...bits(1, 1), "00280008": ["IS", "2"] });
    expect(await storedOf(elements)).toEqual([1, 0, 1, 0, 0]);
    expect(await storedOf(elements, {}, 1)).toEqual([1, 0, 1, 1, 1]);
  });

  it("reads any frame", async () => {
    const elements = imageElements(2, 1, words(1, 2, 3, 4, 5, 6), { ...bits(16, 16), "00280008": ["IS", "3"] });
    expect(await storedOf(elements, {}, 2)).toEqual([5, 6]);
    await expect(storedOf(elements, {}, 3)).rejects.toMatchObject({ reason: "damaged" });
  });

  it("interleaves planes", async () => {
    const elements = imageElements(2, 1, Uint8Array.from([1, 2, 3, 4, 5, 6]), colours("RGB", 1));
    expect(await storedOf(elements)).toEqual([1, 3, 5, 2, 4, 6]);
  });

  it("gives both pixels of YBR_FULL_422 their common colour", async () => {
    const elements = imageElements(2, 1, Uint8Array.from([10, 20, 90, 240]), colours("YBR_FULL_422"));
    expect(await storedOf(elements)).toEqual([10, 90, 240, 20, 90, 240]);
  });
});

describe("native pixels that are no good", () => {
  const few = Uint8Array.from([1, 2]);
  it.each([
    ["too few", imageElements(2, 2, few), "truncated"],
    ["frames that are not there", imageElements(2, 1, few, { "00280008": ["IS", "2"] }), "truncated"],
    ["a bomb", imageElements(65535, 65535, few), "too-many-pixels"],
    ["very many frames", imageElements(1, 1, few, { "00280008": ["IS", "2147483647"] }), "too-many-pixels"],
    ["no frames", imageElements(1, 1, few, { "00280008": ["IS", "0"] }), "damaged"],
    ["no rows", imageElements(1, 0, few), "damaged"],
    ["bits that do not fit", imageElements(1, 1, few, bits(8, 12)), "damaged"],
    ["a highest bit that does not fit", imageElements(1, 1, few, bits(16, 12, 17)), "damaged"],
    ["bits of another number", imageElements(1, 1, few, bits(12, 12)), "unsupported-pixels"],
    ["colours of another kind", imageElements(1, 1, few, colours("HSV")), "unsupported-pixels"],
    ["a grey of three", imageElements(1, 1, few, colours("MONOCHROME2")), "damaged"],
    ["floats", imageElements(1, 1, few, { "7fe00008": ["OF", longs(1)] }), "unsupported-pixels"],
  ] as const)("refuses %s", async (_, elements, reason) => {
    await expect(storedOf(elements)).rejects.toMatchObject({ reason });
  });
});

describe("colours", () => {
  const pixel = (photometric: string, ...values: number[]) =>
    imageElements(1, 1, Uint8Array.from(values), colours(photometric));
  it("leaves RGB as it is, of whatever depth", async () => {
    expect(await rgbOf(pixel("RGB", 1, 2, 3))).toEqual([1, 2, 3]);
    const deep = imageElements(1, 1, words(0xffff, 0x8000, 0x00ff), { ...colours("RGB"), ...bits(16, 16) });
    expect(await rgbOf(deep)).toEqual([255, 128, 0]);
  });

  it.each([
    [
      [128, 128, 128],
      [128, 128, 128],
    ],
    [
      [76, 85, 255],
      [254, 0, 0],
    ],
    [
      [150, 44, 21],
      [0, 255, 1],
    ],
    [
      [29, 255, 107],
      [0, 0, 254],
    ],
  ])("converts YBR_FULL %j by BT.601", async (ybr, rgb) => {
    expect(await rgbOf(pixel("YBR_FULL", ...ybr))).toEqual(rgb);
  });

  it("converts YBR_FULL_422", async () => {
    const elements = imageElements(2, 1, Uint8Array.from([76, 150, 85, 255]), colours("YBR_FULL_422"));
    expect(await rgbOf(elements)).toEqual([254, 0, 0, 255, 74, 74]);
  });

  it("refuses signs", async () => {
    const elements = imageElements(1, 1, Uint8Array.from([1, 2, 3]), { ...colours("RGB"), ...bits(8, 8, 7, 1) });
    await expect(rgbOf(elements)).rejects.toMatchObject({ reason: "unsupported-pixels" });
  });
});
