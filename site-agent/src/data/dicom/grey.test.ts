import { describe, expect, it } from "vitest";
import { rescaled } from "./grey.js";
import { bits, dicomBytes, imageElements, type TestElements } from "./test-dicom.js";
import { decodeBytes, shadesOf } from "./test-object.js";
import { voiShade, type WindowFunction } from "./voi.js";

const words = (...values: number[]): Uint8Array => new Uint8Array(Int16Array.from(values).buffer);
const grey16 = (values: number[], over: TestElements = {}): TestElements =>
  imageElements(values.length, 1, words(...values), { ...bits(16, 16, 15, 1), ...over });
const window = (center: string, width: string, shape?: string): TestElements => ({
  "00281050": ["DS", center],
  "00281051": ["DS", width],
  ...(shape === undefined ? {} : { "00281056": ["CS", shape] }),
});

describe("voiShade", () => {
  const shade = (shape: WindowFunction, center: number, width: number, value: number): number =>
    voiShade({ kind: "window", center, width, shape }, value);

  it("follows LINEAR of PS3.3 C.11.2.1.2.1", () => {
    // The standard's own cases: c=2048 w=4096, c=2048 w=1, c=0 w=100, c=0 w=1.
    expect(shade("LINEAR", 2048, 4096, 0)).toBe(0);
    expect(shade("LINEAR", 2048, 4096, 4095)).toBe(1);
    expect(shade("LINEAR", 2048, 4096, 1000)).toBeCloseTo((1000 - 2047.5) / 4095 + 0.5, 12);
    expect([2047, 2048].map((x) => shade("LINEAR", 2048, 1, x))).toEqual([0, 1]);
    expect(shade("LINEAR", 0, 100, -50)).toBe(0);
    expect(shade("LINEAR", 0, 100, 49.1)).toBe(1);
    expect(shade("LINEAR", 0, 100, 10)).toBeCloseTo((10 + 0.5) / 99 + 0.5, 12);
    expect([-1, 0].map((x) => shade("LINEAR", 0, 1, x))).toEqual([0, 1]);
  });

  it("follows LINEAR_EXACT of PS3.3 C.11.2.1.3.2", () => {
    expect([-50, -25, 0, 50, 51].map((x) => shade("LINEAR_EXACT", 0, 100, x))).toEqual([0, 0.25, 0.5, 1, 1]);
    expect(shade("LINEAR_EXACT", 0, 0.5, 0.125)).toBe(0.75);
  });

  it("follows SIGMOID of PS3.3 C.11.2.1.3.1", () => {
    expect(shade("SIGMOID", 40, 100, 40)).toBe(0.5);
    expect(shade("SIGMOID", 40, 100, 90)).toBeCloseTo(1 / (1 + Math.exp(-2)), 12);
    expect(shade("SIGMOID", 40, 100, -1e6)).toBe(0);
    expect(shade("SIGMOID", 40, 100, 1e6)).toBe(1);
  });
});

describe("toGrey", () => {
  it("rescales before it applies the window", async () => {
    const ct = grey16([0, 1014, 1064, 1113], {
      ...window("40", "100"),
      "00281052": ["DS", "-1024"],
      "00281053": ["DS", "1"],
    });
    // -1024, -10, 40 and 89 HU
    expect(await shadesOf(ct)).toEqual([0, 0, Math.floor((0.5 / 99 + 0.5) * 255 + 0.5), 255]);
  });

  it("takes the first of several windows, and the shape that goes with it", async () => {
    expect(await shadesOf(grey16([-25, 25], window("0\\500", "100\\1", "LINEAR_EXACT")))).toEqual([64, 191]);
    expect(await shadesOf(grey16([0, 90], window("40", "100", "SIGMOID")))).toEqual([43, 225]);
  });

  it("shows the whole range where the file names no window, or none that can be", async () => {
    expect(await shadesOf(grey16([-100, 0, 100]))).toEqual([0, 128, 255]);
    expect(await shadesOf(grey16([-100, 0, 100], window("0", "0")))).toEqual([0, 128, 255]);
    expect(await shadesOf(grey16([-100, 0, 100], window("0", "x")))).toEqual([0, 128, 255]);
    expect(await shadesOf(grey16([7, 7]))).toEqual([0, 0]);
  });

  it("leaves padding out of the range, of one value and of a range of them", async () => {
    const one = { "00280120": ["SS", [-2000]] } as const;
    expect(await shadesOf(grey16([-2000, 0, 50, 100], one))).toEqual([0, 0, 128, 255]);
    const range = { ...one, "00280121": ["SS", [-1000]] } as const;
    expect(await shadesOf(grey16([-2000, -1500, -1000, 0, 100], range))).toEqual([0, 0, 0, 0, 255]);
    expect(await shadesOf(grey16([-2000, -2000], one))).toEqual([0, 0]);
  });

  it("inverts MONOCHROME1", async () => {
    const inverse = { "00280004": ["CS", "MONOCHROME1"] } as const;
    expect(await shadesOf(grey16([-100, 0, 100], inverse))).toEqual([255, 128, 0]);
    expect(await shadesOf(grey16([-50, 50], { ...inverse, ...window("0", "100", "LINEAR_EXACT") }))).toEqual([255, 0]);
  });

  it("prefers the window of the settings", async () => {
    const options = { window: [0, 200] as const };
    expect(await shadesOf(grey16([-5, 0, 100, 200, 300], window("0", "1")), options)).toEqual([0, 0, 128, 255, 255]);
  });

  const table = (first: number, entries: number, bitsOfValue: number, values: number[], vr = "US"): TestElements => ({
    "00283002": [vr, [entries, first, bitsOfValue]],
    "00283006": ["OW", words(...values)],
  });

  it("looks values up in a VOI LUT, which wins over a window", async () => {
    const item = table(10, 3, 8, [0, 51, 255]);
    const elements = grey16([9, 10, 11, 12, 99], { ...window("0", "1"), "00283010": ["SQ", [item]], ...bits(16, 16) });
    expect(await shadesOf(elements)).toEqual([0, 0, 51, 255, 255]);
  });

  it("looks values up that are below zero", async () => {
    const elements = grey16([-3, -2, -1], { "00283010": ["SQ", [table(-2, 2, 16, [0, 65535], "SS")]] });
    expect(await shadesOf(elements)).toEqual([0, 0, 255]);
  });

  it("looks values up in a modality LUT before the window", async () => {
    const elements = grey16([0, 1, 2], {
      ...bits(16, 16),
      "00283000": ["SQ", [table(0, 3, 16, [1000, 2000, 3000])]],
      ...window("2000", "2000", "LINEAR_EXACT"),
    });
    expect(await shadesOf(elements)).toEqual([0, 128, 255]);
  });

  it("refuses tables that are too short", async () => {
    const elements = grey16([0], { "00283010": ["SQ", [table(0, 100, 16, [1, 2])]] });
    await expect(shadesOf(elements)).rejects.toMatchObject({ reason: "damaged" });
  });

  it("shows 32 bits", async () => {
    const pixels = new Uint8Array(Int32Array.from([-1_000_000, 0, 1_000_000]).buffer);
    expect(await shadesOf(imageElements(3, 1, pixels, bits(32, 32, 31, 1)))).toEqual([0, 128, 255]);
  });
});

describe("rescaled", () => {
  it("gives values in their unit, of each frame by its own slope", async () => {
    const group = (slope: string): TestElements => ({
      "00289145": ["SQ", [{ "00281052": ["DS", "1"], "00281053": ["DS", slope] }]],
      "00289110": ["SQ", [{ "00280030": ["DS", "0.5\\0.25"] }]],
      "00209113": ["SQ", [{ "00200032": ["DS", `1\\2\\${slope}`] }]],
    });
    const elements = imageElements(2, 1, words(1, 2, 3, 4), {
      ...bits(16, 16),
      "00280008": ["IS", "2"],
      "52009229": ["SQ", [{ "00209116": ["SQ", [{ "00200037": ["DS", "1\\0\\0\\0\\1\\0"] }]] }]],
      "52009230": ["SQ", [group("2"), group("10")]],
    });
    const { frame, image } = await decodeBytes(dicomBytes(elements), 1);
    const { modality, geometry } = image.frames[1]!;
    expect([...rescaled(frame.samples, modality)]).toEqual([31, 41]);
    expect(geometry).toEqual({ spacing: { x: 0.25, y: 0.5 }, orientation: [1, 0, 0, 0, 1, 0], position: [1, 2, 10] });
  });
});
