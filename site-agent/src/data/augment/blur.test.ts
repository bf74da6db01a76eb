import { describe, expect, it } from "vitest";
import { gaussianBlur } from "./blur.js";

describe("gaussianBlur", () => {
  it("spreads a point as the product of two Gaussians", () => {
    const size = 9;
    const pixels = new Float32Array(size * size * 3);
    pixels[(4 * size + 4) * 3 + 1] = 1;
    gaussianBlur(pixels, { sigma: 1 });
    const bell = [-3, -2, -1, 0, 1, 2, 3].map((x) => Math.exp((-x * x) / 2));
    const total = bell.reduce((sum, value) => sum + value, 0);
    const at = (row: number, column: number, channel: number) => pixels[(row * size + column) * 3 + channel]!;
    expect(at(4, 4, 1)).toBeCloseTo((1 / total) ** 2, 6);
    expect(at(3, 6, 1)).toBeCloseTo((Math.exp(-0.5) * Math.exp(-2)) / total ** 2, 6);
    expect(at(4, 4, 0)).toBe(0);
    expect(at(0, 4, 1)).toBe(0);
  });

  it("keeps a plain image, edges included", () => {
    const pixels = new Float32Array(5 * 5 * 3).fill(0.3);
    gaussianBlur(pixels, { sigma: 2.5 });
    for (const value of pixels) expect(value).toBeCloseTo(0.3, 6);
  });

  it("mirrors at the edge without repeating it", () => {
    const pixels = new Float32Array(3 * 3 * 3);
    // Left column one, the rest zero: neighbours of the left column are the middle one on both sides.
    for (let row = 0; row < 3; row++) pixels.fill(1, row * 9, row * 9 + 3);
    gaussianBlur(pixels, { sigma: 0.3 });
    const side = Math.exp(-1 / (2 * 0.09));
    expect(pixels[0]).toBeCloseTo(1 / (1 + 2 * side), 5);
    expect(pixels[3]).toBeCloseTo(side / (1 + 2 * side), 5);
  });

  /** From torchvision 0.28 in float64: `gaussian_blur(x, [9, 9], [1.3, 1.3])`. */
  it("has torchvision's values with a kernel of nine", () => {
    const pixels = Float32Array.from({ length: 9 * 9 * 3 }, (_, index) => ((index * 37 + 11) % 256) / 255);
    gaussianBlur(pixels, { sigma: 1.3, radius: 4 });
    const first = [0.540017, 0.486163, 0.436741, 0.543784, 0.506537, 0.430403, 0.53632, 0.540701, 0.434454];
    for (const [index, value] of first.entries()) expect(pixels[index]).toBeCloseTo(value, 5);
    expect(pixels.reduce((total, value) => total + value, 0)).toBeCloseTo(122.016149, 3);
  });

  it("mirrors again where the kernel is wider than the image", () => {
    const pixels = Float32Array.of(0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1);
    gaussianBlur(pixels, { sigma: 50, radius: 40 });
    // 81 taps of nearly the same weight, of which every second meets a one.
    for (const value of pixels) expect(Math.abs(value - 0.5)).toBeLessThan(0.02);
  });
});
