import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { lacking, readReal, realRows } from "../curation/testing/real-images.js";
import { attainable, profileOf, profileOfPixels, transferColours } from "./reinhard.js";

/** Colours in the middle of what sRGB has, so that nothing is cut. */
function muted(seed: number, count = 600): Float32Array {
  const random = randomFor("muted", seed);
  return Float32Array.from({ length: 3 * count }, () => 0.5 + 0.06 * (random.uniform() - 0.5) * (1 + seed));
}

const target = [58, 6, -5, 3, 2, 2.5] as const;

describe("transferColours", () => {
  it.each([1, 2, 3])("gives pixels the target's means and deviations", (seed) => {
    const pixels = muted(seed);
    transferColours(pixels, { from: profileOfPixels(pixels), to: [...target] });
    for (const [index, value] of profileOfPixels(pixels).entries()) expect(value).toBeCloseTo(target[index]!, 2);
    expect(Math.max(...pixels)).toBeLessThan(1);
  });

  it("changes nothing when the target is the image's own profile", () => {
    const pixels = muted(4);
    const own = profileOfPixels(pixels);
    transferColours(pixels, { from: own, to: own });
    for (const [at, value] of muted(4).entries()) expect(pixels[at]).toBeCloseTo(value, 4);
  });

  it("moves a flat image to the target's means without dividing by its spread", () => {
    const pixels = new Float32Array(300).fill(0.5);
    transferColours(pixels, { from: profileOfPixels(pixels), to: [...target] });
    const [lightness, , , spread] = profileOfPixels(pixels);
    expect(lightness).toBeCloseTo(target[0], 2);
    expect(spread).toBeCloseTo(0, 2);
  });

  it("stays within 0 … 1", () => {
    const pixels = Float32Array.from({ length: 3000 }, (_, at) => ((at * 7919) % 1000) / 999);
    transferColours(pixels, { from: profileOfPixels(pixels), to: [90, 60, -60, 40, 40, 40] });
    expect(pixels.every((value) => value >= 0 && value <= 1)).toBe(true);
  });
});

describe("profileOf", () => {
  it("is that of the same pixels, and near it when it is a sample of them", () => {
    const of = (side: number) => {
      const data = Uint8Array.from({ length: side * side * 3 }, (_, at) => {
        return 128 + 60 * Math.sin(((at / 3) % side) / side) + 20 * (at % 3);
      });
      return {
        sampled: profileOf({ width: side, height: side, data }),
        all: profileOfPixels(Float32Array.from(data, (level) => level / 255)),
      };
    };
    const small = of(50);
    for (const [index, value] of small.all.entries()) expect(small.sampled[index]).toBeCloseTo(value, 4);
    const large = of(512);
    for (const [index, value] of large.all.entries()) expect(Math.abs(large.sampled[index]! - value)).toBeLessThan(0.2);
  });
});

describe("attainable", () => {
  it("does not blow up the noise of a nearly flat image", () => {
    expect(attainable({ from: [50, 0, 0, 0.5, 5, 0], to: [60, 1, 2, 15, 8, 6] })).toEqual([60, 1, 2, 2, 8, 0]);
  });
});

const folder = "slides/pcam96";
const reason = lacking(folder);
describe(`stained patches${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  it.skipIf(reason !== undefined)("take each other's colours, but for what leaves sRGB", async () => {
    const images = await readReal(folder, realRows(folder, 100), 96);
    const missed = { before: 0, after: 0 };
    for (const [index, image] of images.entries()) {
      const from = profileOf(image);
      const to = attainable({ from, to: profileOf(images[(index + 1) % images.length]!) });
      const pixels = Float32Array.from(image.data, (level) => level / 255);
      transferColours(pixels, { from, to });
      const after = profileOfPixels(pixels);
      for (const [part, value] of to.entries()) {
        missed.before += Math.abs(from[part]! - value);
        missed.after += Math.abs(after[part]! - value);
      }
    }
    expect(missed.after).toBeLessThan(0.15 * missed.before);
  });
});
