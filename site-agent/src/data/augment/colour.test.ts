import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { jitterColour, scaleBrightness, scaleContrast, scaleSaturation, solarize, toGrayscale } from "./colour.js";
import { shiftHue } from "./hue.js";

const two = () => Float32Array.of(0.2, 0.4, 0.6, 0.8, 0.1, 0.3);
const grey = (red: number, green: number, blue: number) => 0.2989 * red + 0.587 * green + 0.114 * blue;

function expectPixels(actual: Float32Array, expected: readonly number[]): void {
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, 5);
}

describe("colour", () => {
  it("scales brightness and cuts at white", () => {
    const pixels = two();
    scaleBrightness(pixels, 1.5);
    expectPixels(pixels, [0.3, 0.6, 0.9, 1, 0.15, 0.45]);
  });

  it("scales contrast around the mean grey of the image", () => {
    const pixels = two();
    scaleContrast(pixels, 0.5);
    const mean = (grey(0.2, 0.4, 0.6) + grey(0.8, 0.1, 0.3)) / 2;
    expectPixels(
      pixels,
      Array.from(two(), (value) => 0.5 * value + 0.5 * mean),
    );
  });

  it("scales saturation around the grey of the pixel", () => {
    const pixels = two();
    scaleSaturation(pixels, 0);
    const plain = two();
    toGrayscale(plain);
    expectPixels(pixels, Array.from(plain));
    expectPixels(
      plain,
      [0, 0, 0].map(() => grey(0.2, 0.4, 0.6)),
    );
    const stronger = two();
    scaleSaturation(stronger, 1.2);
    expectPixels(
      stronger.subarray(0, 3),
      [0.2, 0.4, 0.6].map((value) => 1.2 * value - 0.2 * grey(0.2, 0.4, 0.6)),
    );
  });

  /** Expected values from Python's colorsys. */
  it.each([
    [[0.2, 0.5, 0.9], 0.1, [0.32, 0.2, 0.9]],
    [[0.2, 0.5, 0.9], -0.2, [0.2, 0.9, 0.46]],
    [[0.2, 0.5, 0.9], 0.5, [0.9, 0.6, 0.2]],
    [[0.9, 0.1, 0.1], 0.1, [0.9, 0.58, 0.1]],
    [[0.9, 0.1, 0.1], -0.2, [0.74, 0.1, 0.9]],
    [[0.3, 0.7, 0.3], -0.2, [0.7, 0.62, 0.3]],
    [[0.6, 0.5, 0.55], 0.1, [0.6, 0.51, 0.5]],
    [[0.4, 0.4, 0.4], 0.3, [0.4, 0.4, 0.4]],
  ])("turns the hue of %j by %f", (from, turns, to) => {
    const pixels = Float32Array.from(from);
    shiftHue(pixels, turns);
    expectPixels(pixels, to);
  });

  /** From torchvision 0.28: `adjust_*(x, factor)` and `rgb_to_grayscale(x, 3)` of `functional` on these two pixels. */
  it.each<[string, (pixels: Float32Array) => void, readonly number[]]>([
    ["brightness", (it) => scaleBrightness(it, 1.5), [0.3, 0.6, 0.9, 1, 0.15, 0.45]],
    ["contrast below one", (it) => scaleContrast(it, 0.5), [0.27375, 0.37375, 0.47375, 0.57375, 0.22375, 0.32375]],
    ["contrast above one", (it) => scaleContrast(it, 1.7), [0.09675, 0.43675, 0.77675, 1, 0, 0.26675]],
    ["saturation", (it) => scaleSaturation(it, 1.2), [0.167404, 0.407404, 0.647404, 0.893596, 0.053596, 0.293596]],
    ["less of it", (it) => scaleSaturation(it, 0.3), [0.314086, 0.374086, 0.434086, 0.472414, 0.262414, 0.322414]],
    ["hue", (it) => shiftHue(it, 0.1), [0.24, 0.2, 0.6, 0.8, 0.32, 0.1]],
    ["hue backwards", (it) => shiftHue(it, -0.2), [0.2, 0.6, 0.32, 0.46, 0.1, 0.8]],
    ["grayscale", toGrayscale, [0.36298, 0.36298, 0.36298, 0.33202, 0.33202, 0.33202]],
  ])("has torchvision's values of %s", (_, change, expected) => {
    const pixels = two();
    change(pixels);
    expectPixels(pixels, expected);
  });

  /** From Pillow 12: `ImageOps.solarize` of these levels. */
  it("inverts from the middle level up, as Pillow does", () => {
    const pixels = Float32Array.from([0, 100, 127, 128, 129, 200, 255], (level) => level / 255);
    solarize(pixels);
    expectPixels(
      pixels,
      [0, 100, 127, 127, 126, 55, 0].map((level) => level / 255),
    );
  });

  it("jitters by the generator alone and stays within bounds", () => {
    const strength = { brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2 };
    const jittered = (seed: number) => {
      const pixels = two();
      jitterColour(pixels, strength, randomFor("jitter", seed));
      return pixels;
    };
    expect(jittered(1)).toEqual(jittered(1));
    expect(jittered(2)).not.toEqual(jittered(1));
    for (let seed = 0; seed < 100; seed++) {
      // One ulp beyond the bounds may come from the hue's back-conversion.
      for (const value of jittered(seed)) expect(Math.abs(value - 0.5)).toBeLessThanOrEqual(0.5 + 1e-6);
    }
  });

  it("changes nothing at strength zero", () => {
    const pixels = two();
    jitterColour(pixels, { brightness: 0, contrast: 0, saturation: 0, hue: 0 }, randomFor("none"));
    expect(pixels).toEqual(two());
  });
});
