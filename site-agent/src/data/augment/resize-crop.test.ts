import { describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { wholeImage } from "./crop.js";
import { type Interpolation, resizeCrop } from "./resize-crop.js";

const image: RgbImage = {
  width: 7,
  height: 5,
  data: Uint8Array.from({ length: 105 }, (_, index) => (index * 37 + 11) % 256),
};
const inner = { left: 1, top: 1, width: 4, height: 3 };

/** First twelve values and the sum of all, from Pillow 12 on float images, in 0 … 1 and cut there. */
const pillow: readonly [Interpolation, "shrink" | "enlarge", readonly number[], number][] = [
  [
    "bicubic",
    "shrink",
    [0.41514, 0.33809, 0.51657, 0.64314, 0.51121, 0.36981, 0.4878, 0.67289, 0.60867, 0.42173, 0.40396, 0.57467],
    13.3968,
  ],
  [
    "bicubic",
    "enlarge",
    [0.48197, 0.69312, 0.83822, 0.7489, 0.36251, 0.50761, 0.89761, 0.10153, 0.25825, 0.42557, 0.43821, 0.6414],
    58.2526,
  ],
  [
    "bilinear",
    "shrink",
    [0.43137, 0.36134, 0.50644, 0.59644, 0.50532, 0.4142, 0.5042, 0.6493, 0.57927, 0.43903, 0.41681, 0.5619],
    13.4005,
  ],
  [
    "bilinear",
    "enlarge",
    [0.51373, 0.65882, 0.80392, 0.73137, 0.37451, 0.51961, 0.85425, 0.16275, 0.30784, 0.47516, 0.45294, 0.59804],
    58.1412,
  ],
];

describe("resizeCrop", () => {
  it.each(pillow)("%s has Pillow's values when it has to %s", (interpolation, way, first, sum) => {
    const [box, size] = way === "shrink" ? [wholeImage(image), 3] : [inner, 6];
    const out = resizeCrop({ image, box, size, interpolation });
    for (const [index, value] of first.entries()) expect(out[index]).toBeCloseTo(value, 4);
    expect(out.reduce((total, value) => total + value, 0)).toBeCloseTo(sum, 2);
  });

  it("keeps an image of the wanted size", () => {
    const square = { width: 4, height: 4, data: image.data.subarray(0, 48) };
    const out = resizeCrop({ image: square, box: wholeImage(square), size: 4, interpolation: "bicubic" });
    for (const [index, value] of out.entries()) expect(value * 255).toBeCloseTo(square.data[index]!, 3);
  });

  /**
   * From torchvision 0.28: `rot90(vflip(hflip(resized_crop(x, 1, 1, 3, 4, [6, 6], BICUBIC, antialias=True))), 1)`, cut to
   * 0 … 1: first four pixels and the sum.
   */
  it("stands the result in an orientation", () => {
    const orientation = { mirrored: true, flipped: true, quarterTurns: 1 };
    const out = resizeCrop({ image, box: inner, size: 6, interpolation: "bicubic", orientation });
    const first = [0.63067, 0.76994, 0.91503, 0.60326, 0.7609, 0.90599, 0.54524, 0.74177, 0.88686];
    for (const [index, value] of first.entries()) expect(out[index]).toBeCloseTo(value, 4);
    expect(out.reduce((total, value) => total + value, 0)).toBeCloseTo(58.2526, 2);
  });

  it("writes where it is told, whatever was there", () => {
    const crop = { image, box: inner, size: 5, interpolation: "bilinear" } as const;
    const into = new Float32Array(75).fill(Number.NaN);
    expect(resizeCrop({ ...crop, into })).toBe(into);
    expect(into).toEqual(resizeCrop(crop));
  });

  it("takes nothing from outside the box", () => {
    const changed = { ...image, data: image.data.slice() };
    changed.data.fill(255, 0, 21);
    const crop = { box: inner, size: 6, interpolation: "bicubic" } as const;
    expect(resizeCrop({ image: changed, ...crop })).toEqual(resizeCrop({ image, ...crop }));
  });

  it("keeps a plain colour within bounds", () => {
    const white = { width: 30, height: 20, data: new Uint8Array(1800).fill(255) };
    const out = resizeCrop({ image: white, box: wholeImage(white), size: 11, interpolation: "bicubic" });
    expect(out.every((value) => value <= 1 && value > 0.99999)).toBe(true);
  });
});
