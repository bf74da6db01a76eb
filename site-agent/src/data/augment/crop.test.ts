import { type Random, randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { randomBox, wholeImage } from "./crop.js";

const image = { width: 90, height: 60 };

describe("randomBox", () => {
  it("stays in the image, near the wanted area and ratio", () => {
    const random = randomFor("crop", 1);
    for (let draw = 0; draw < 500; draw++) {
      const { left, top, width, height } = randomBox(image, [0.2, 0.9], random);
      expect(left).toBeGreaterThanOrEqual(0);
      expect(top).toBeGreaterThanOrEqual(0);
      expect(left + width).toBeLessThanOrEqual(90);
      expect(top + height).toBeLessThanOrEqual(60);
      expect((width * height) / 5400).toBeGreaterThan(0.18);
      expect((width * height) / 5400).toBeLessThan(0.93);
      expect(width / height).toBeGreaterThan(0.7);
      expect(width / height).toBeLessThan(1.42);
    }
  });

  it("reaches every edge", () => {
    const random = randomFor("crop", 2);
    const boxes = Array.from({ length: 400 }, () => randomBox(image, [0.2, 0.4], random));
    expect(boxes.some(({ left }) => left < 3)).toBe(true);
    expect(boxes.some(({ left, width }) => left + width > 87)).toBe(true);
    expect(boxes.some(({ top }) => top < 3)).toBe(true);
    expect(boxes.some(({ top, height }) => top + height > 57)).toBe(true);
  });

  it("falls back to the centre of an image that no crop fits", () => {
    expect(randomBox({ width: 100, height: 10 }, [1, 1], randomFor("crop", 3))).toEqual({
      left: 43,
      top: 0,
      width: 13,
      height: 10,
    });
  });

  it("follows the generator", () => {
    const half: Random = { uniform: () => 0.5, integer: (below) => below - 1, normal: () => 0 };
    const box = randomBox(image, [0.5, 0.5], half);
    expect(box).toEqual({ width: 52, height: 52, left: 38, top: 8 });
    expect(wholeImage(image)).toEqual({ left: 0, top: 0, width: 90, height: 60 });
  });
});
