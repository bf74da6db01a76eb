import { describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { statisticCount, statisticNames, statisticRanges, statisticsOf, writeStatistics } from "./statistics.js";

function imageOf(width: number, height: number, colour: (x: number, y: number) => number[]): RgbImage {
  const pixels = Array.from({ length: width * height }, (_, at) => colour(at % width, Math.floor(at / width)));
  return { width, height, data: Uint8Array.from(pixels.flat()) };
}

/** More pixels than are converted at once. */
const pattern = imageOf(50, 40, (x, y) => [(x * 5) % 256, (y * 3 + 40) % 256, ((x + y) * 2) % 200]);

/** By numpy and scipy.stats.moment from scikit-image's formulas, hue turned by half a circle. */
const expected = [
  0.4803922, 0.2829582, 4.052876e-6, 0.3862745, 0.1358047, 1.594064e-6, 0.345098, 0.144939, -4.537101e-6, 45.93811,
  13.04665, -9.170835, 8.106049, 33.62919, 12.83292, 13.341, 5.876721, 5.398415, 0.63905, 0.1784088, 0.1322258,
  0.5042551, 0.2178221, 0.1451018, 0.5697882, 0.203922, 0.1032998, 0.1115018, 0.2585205, 0.4518664, -0.04786809,
  0.1586936, -0.2619898, 0.07591627, 0.07356747, -0.0971695,
];

describe("statisticsOf", () => {
  it("has a name for each of 36 numbers", () => {
    expect(statisticCount).toBe(36);
    expect(statisticNames[0]).toBe("red mean");
    expect(statisticNames.at(-1)).toBe("dab skew");
    expect(new Set(statisticNames).size).toBe(36);
  });

  it("has numpy's values", () => {
    const statistics = statisticsOf(pattern);
    for (const [index, value] of expected.entries()) {
      // The third moment of an even spread is zero but for rounding, of which the cube root is large.
      expect(Math.abs(statistics[index]! - value), statisticNames[index]).toBeLessThan(2e-5 * Math.max(1, value));
    }
  });

  it("finds neither spread nor skew in one colour", () => {
    const statistics = statisticsOf(imageOf(30, 30, () => [203, 120, 177]));
    for (const [index, name] of statisticNames.entries()) if (!name.endsWith("mean")) expect(statistics[index]).toBe(0);
  });

  it("takes reds on both sides of the circle's start for near each other", () => {
    const hue = (colour: number[]) => statisticsOf(imageOf(2, 2, () => colour))[statisticNames.indexOf("hue mean")]!;
    expect(Math.abs(hue([220, 20, 30]) - hue([220, 30, 20]))).toBeLessThan(0.02);
  });

  it("writes where it is told to", () => {
    const into = new Float32Array(3 * statisticCount);
    writeStatistics(pattern, into, statisticCount);
    expect(into.subarray(statisticCount, 2 * statisticCount)).toEqual(statisticsOf(pattern));
    expect(into.subarray(2 * statisticCount).every((value) => value === 0)).toBe(true);
  });

  it("has statistics within their ranges for every extreme of colour", () => {
    for (let corner = 0; corner < 64; corner++) {
      const image = imageOf(2, 2, (x, y) => {
        const bits = (x + y) % 2 === 0 ? corner >> 3 : corner;
        return [255 * (bits & 1), 255 * ((bits >> 1) & 1), 255 * ((bits >> 2) & 1)];
      });
      for (const [index, value] of statisticsOf(image).entries()) {
        expect(Math.abs(value), statisticNames[index]).toBeLessThanOrEqual(1.001 * statisticRanges[index]!);
      }
    }
  });
});
