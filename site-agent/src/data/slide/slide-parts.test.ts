import { describe, expect, it } from "vitest";
import { colourOf, onBackground, white } from "./argb.js";
import { copyInto } from "./copy-into.js";
import { hsvOf } from "./hsv.js";
import { aperioField, numberIn, squareMicrometres, tiffMicrometres } from "./resolution.js";
import { hasSlideName } from "./slide-names.js";
import { bestLevel, checkedLevels } from "./slide-shape.js";
import { tissueShares } from "./tissue-share.js";

describe("onBackground", () => {
  it("lays premultiplied pixels on the background", () => {
    const pixels = Uint32Array.of(0xff0a141e, 0x00000000, 0x80402010);
    expect([...onBackground(pixels, white)]).toEqual([10, 20, 30, 255, 255, 255, 191, 159, 143]);
    expect([...onBackground(pixels, { r: 1, g: 2, b: 3 })].slice(3, 6)).toEqual([1, 2, 3]);
  });

  it("reads the background's colour, and takes white for what is none", () => {
    expect(colourOf("0A141e")).toEqual({ r: 10, g: 20, b: 30 });
    for (const text of [undefined, "", "red", "#ffffff", "0A141e0"]) expect(colourOf(text)).toEqual(white);
  });
});

describe("copyInto", () => {
  const part = { width: 2, height: 2, data: Uint8Array.from({ length: 12 }, (_, i) => i + 1) };
  const reds = (left: number, top: number, ends?: { right: number; bottom: number }): number[] => {
    const whole = { width: 3, height: 2, data: new Uint8Array(18) };
    copyInto(whole, part, left, top, ends);
    return [...whole.data].filter((_, i) => i % 3 === 0);
  };

  it("cuts off what does not fit", () => {
    expect(reds(0, 0)).toEqual([1, 4, 0, 7, 10, 0]);
    expect(reds(-1, -1)).toEqual([10, 0, 0, 0, 0, 0]);
    expect(reds(2, 1)).toEqual([0, 0, 0, 0, 0, 1]);
    expect(reds(5, 0)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(reds(-2, 0)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(reds(1, 0, { right: 2, bottom: 1 })).toEqual([0, 1, 0, 0, 0, 0]);
  });
});

describe("hsvOf", () => {
  it.each([
    [[255, 0, 0], { hue: 0, saturation: 255, value: 255 }],
    [[0, 200, 0], { hue: 120, saturation: 255, value: 200 }],
    [[50, 50, 100], { hue: 240, saturation: 128, value: 100 }],
    [[200, 100, 150], { hue: 330, saturation: 128, value: 200 }],
    [[9, 9, 9], { hue: 0, saturation: 0, value: 9 }],
    [[0, 0, 0], { hue: 0, saturation: 0, value: 0 }],
  ] as const)("of %j", ([r, g, b], expected) => {
    expect(hsvOf(r, g, b)).toEqual(expected);
  });
});

describe("resolution", () => {
  it("reads TIFF's units, and believes no printer", () => {
    expect(tiffMicrometres({ x: 20_040, y: 20_040, unit: "3" })).toBeCloseTo(0.499, 3);
    expect(tiffMicrometres({ x: 50_800, unit: "inch" })).toBeCloseTo(0.5, 6);
    expect(tiffMicrometres({ x: 300, y: 300, unit: "inch" })).toBeUndefined();
    expect(tiffMicrometres({ x: 20_040, y: 20_040, unit: "1" })).toBeUndefined();
    expect(tiffMicrometres({ x: 0, y: 0, unit: "3" })).toBeUndefined();
    expect(tiffMicrometres({ unit: "3" })).toBeUndefined();
  });

  it("takes one number only for pixels that are about square", () => {
    expect(squareMicrometres(0.5, 0.51)).toBeCloseTo(0.505, 6);
    expect(squareMicrometres(0.25)).toBe(0.25);
    for (const [x, y] of [
      [0.5, 0.6],
      [Number.NaN, 0.5],
      [-1, -1],
      [0, 0],
      [1e9, 1e9],
      [undefined, 0.5],
    ] as const) {
      expect(squareMicrometres(x, y)).toBeUndefined();
    }
  });

  it("reads numbers and Aperio's fields", () => {
    expect(aperioField("Aperio v1\r\n10x10 |AppMag = 20|MPP = 0.4990\0", "MPP")).toBe("0.4990");
    expect(aperioField("MPP = 1", "MPP")).toBeUndefined();
    expect([numberIn("0.5"), numberIn(""), numberIn("x"), numberIn(undefined), numberIn("Infinity")]).toEqual([
      ...[0.5, undefined, undefined, undefined, undefined],
    ]);
  });
});

describe("levels", () => {
  const level = (downsample: number) => ({ width: 1000, height: 1000, downsample });

  it("chooses the coarsest that is fine enough", () => {
    const levels = [1, 4.0003, 16.01].map(level);
    expect([0.5, 1, 3.9, 4, 15, 16, 100].map((wanted) => bestLevel(levels, wanted))).toEqual([0, 0, 0, 1, 1, 2, 2]);
  });

  it.each([
    ["none", [], "damaged"],
    ["without pixels", [{ width: 0, height: 9, downsample: 1 }], "damaged"],
    ["with a downsample that is no number", [level(Number.NaN)], "damaged"],
    ["larger than any glass", [{ width: 1e9, height: 1, downsample: 1 }], "too-many-pixels"],
    ["with more pixels than any glass", [{ width: 1.9e6, height: 1.9e6, downsample: 1 }], "too-many-pixels"],
  ])("refuses %s", (_, levels, reason) => {
    expect(() => checkedLevels("a", levels)).toThrowError(expect.objectContaining({ reason }));
  });
});

describe("hasSlideName", () => {
  it("knows the formats, and leaves out what belongs to them", () => {
    const names = ["a.svs", "A.NDPI", "b/a.mrxs", "a.tif", "a.tiff", "a.vms", "a.scn", "a.bif", "a.svslide", "a.dcm"];
    expect(names.filter((name) => !hasSlideName(name))).toEqual([]);
    expect(["a.dat", "a.jpg", "a.opt", "a.ini", "svs", "a.svs.part"].filter(hasSlideName)).toEqual([]);
  });
});

describe("tissueShares", () => {
  it("counts as a sum over pixels does, and never outside the mask", () => {
    const [width, height] = [7, 5];
    const data = Uint8Array.from({ length: width * height }, (_, i) => Number((i * 7919) % 3 === 0));
    const share = tissueShares({ width, height, data }, 4);
    for (const [x, y, side] of [
      [0, 0, 8],
      [4, 8, 12],
      [12, 8, 8],
      [0, 0, 20],
    ] as const) {
      let sum = 0;
      for (let row = y / 4; row < (y + side) / 4; row++) {
        for (let column = x / 4; column < (x + side) / 4; column++) sum += data[row * width + column]!;
      }
      expect(share({ x, y, side })).toBeCloseTo(sum / (side / 4) ** 2, 12);
    }
    expect(share({ x: 26, y: 18, side: 1 })).toBe(data[4 * width + 6]);
    expect(share({ x: 1000, y: 1000, side: 10 })).toBe(data[4 * width + 6]);
  });
});
