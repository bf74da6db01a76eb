import { describe, expect, it } from "vitest";
import { expandSegments } from "./palette.js";
import { imageElements, type TestElements } from "./test-dicom.js";
import { rgbOf } from "./test-object.js";

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint16Array.from(values).buffer);

function palette(descriptor: number[], tables: readonly Uint8Array[], kind = "120"): TestElements {
  const bands = [1, 2, 3].flatMap((band) => [
    [`0028110${band}`, ["US", descriptor]] as const,
    [`0028${kind}${band}`, ["OW", tables[band - 1]!]] as const,
  ]);
  return { "00280004": ["CS", "PALETTE COLOR"], ...Object.fromEntries(bands) };
}

describe("palettes", () => {
  const indices = Uint8Array.from([0, 1, 2, 9]);
  it("takes the upper bytes of 16-bit values, and the last for what is beyond", async () => {
    const tables = [words(0xff00, 0, 0x1200), words(0, 0xff00, 0x3400), words(0, 0, 0x5600)];
    const elements = imageElements(4, 1, indices, palette([3, 0, 16], tables));
    expect(await rgbOf(elements)).toEqual([255, 0, 0, 0, 255, 0, 0x12, 0x34, 0x56, 0x12, 0x34, 0x56]);
  });

  it("reads 8-bit values, one or two to a word, from the first that is mapped", async () => {
    const single = palette([3, 1, 8], [words(10, 20, 30), words(11, 21, 31), words(12, 22, 32)]);
    const packed = palette(
      [3, 1, 8],
      [
        [10, 20, 30, 0],
        [11, 21, 31, 0],
        [12, 22, 32, 0],
      ].map((t) => Uint8Array.from(t)),
    );
    for (const over of [single, packed]) {
      expect(await rgbOf(imageElements(4, 1, indices, over))).toEqual([10, 11, 12, 10, 11, 12, 20, 21, 22, 30, 31, 32]);
    }
  });

  it("expands segments: values, lines and repeats", async () => {
    const segments = [0, 2, 0, 256, 1, 3, 1024, 2, 1, 0, 0];
    expect([...expandSegments(Uint16Array.from(segments), { entries: 7 })]).toEqual([0, 256, 512, 768, 1024, 0, 256]);
    const tables = [words(...segments), words(...segments), words(...segments)];
    const elements = imageElements(4, 1, indices, palette([7, 0, 16], tables, "122"));
    expect(await rgbOf(elements)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 1, 1]);
  });

  it.each([
    ["fewer values than it says", palette([9, 0, 16], [words(1), words(1), words(1)])],
    ["a segment of no kind", palette([9, 0, 16], [words(7, 1, 1), words(7, 1, 1), words(7, 1, 1)], "122")],
    ["a line from nowhere", palette([9, 0, 16], [words(1, 1, 1), words(1, 1, 1), words(1, 1, 1)], "122")],
    ["no tables", { "00280004": ["CS", "PALETTE COLOR"] }],
  ] as readonly (readonly [string, TestElements])[])("refuses %s", async (_, over) => {
    await expect(rgbOf(imageElements(4, 1, indices, over))).rejects.toMatchObject({ reason: "damaged" });
  });
});
