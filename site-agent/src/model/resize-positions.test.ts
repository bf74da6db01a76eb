import { resizeMatrix } from "@consilium/shared/params/resize-grid.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { resizePositions } from "./resize-positions.js";
import { tf } from "./tf.js";

describe("resizePositions", () => {
  const positions = wave([1, 10, 4], 1);

  it("keeps the class token, and everything when the grid has the wanted size", () => {
    const resized = resizePositions(positions, 5);
    expect(resized.shape).toEqual([1, 26, 4]);
    expectClose(tf.slice(resized, [0, 0, 0], [1, 1, 4]), tf.slice(positions, [0, 0, 0], [1, 1, 4]).dataSync(), 0);
    expect(resizePositions(positions, 3, { offset: 0.1 })).toBe(positions);
  });

  it("keeps a constant grid and a grid's orientation", () => {
    for (const offset of [0, 0.1]) {
      expectClose(
        tf.slice(resizePositions(tf.ones([1, 10, 1]), 7, { offset }), [0, 1, 0], [1, 49, 1]),
        Array(49).fill(1),
        1e-6,
      );
    }
    // Rows of 0, 1, 2: every row of the result is constant, and rows grow.
    const byRow = tf.tensor3d([9, 0, 0, 0, 1, 1, 1, 2, 2, 2], [1, 10, 1]);
    const rows = resizePositions(byRow, 4).dataSync().slice(1);
    expectClose(rows.slice(0, 4), Array(4).fill(rows[0]), 1e-6);
    expect([rows[0]! < rows[4]!, rows[4]! < rows[8]!, rows[8]! < rows[12]!]).toEqual([true, true, true]);
  });

  it("has a gradient for every position", () => {
    const target = wave([1, 26, 4], 3);
    expectGradients(({ x }) => tf.sum(tf.mul(resizePositions(x!, 5), target)), { x: positions });
  });

  it("makes grids smaller too", () => {
    const matrix = resizeMatrix({ from: 4, to: 2 });
    for (let row = 0; row < 4; row++) {
      expect(matrix.slice(16 * row, 16 * row + 16).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
    }
    // Halfway between the first two samples of each axis: (-0.09375 repeated at the edge, 0.59375, …).
    expect(matrix[0]).toBeCloseTo((0.59375 - 0.09375) ** 2, 6);
  });

  /** torch's interpolate(mode="bicubic", antialias=True) on sin(0.7 i + 1). */
  it("smooths like torch when it makes grids smaller, and when it makes them larger", () => {
    const square = tf.concat([tf.zeros([1, 1, 1]), wave([1, 25, 1], 1)], 1);
    const smaller = resizePositions(square, 3, { antialias: true }).dataSync().slice(1);
    const expected = [
      0.1318802247409262, 0.20619462032538086, 0.049964830979767096, 0.0568175727692349, 0.0014902709228681484,
      -0.05550328824241149, -0.03940631327714622, -0.20376911753352359, -0.14029966776914538,
    ];
    expectClose(smaller, expected, 1e-6);
    const secondRow = resizePositions(square, 7, { antialias: true }).dataSync().slice(8, 15);
    const larger = [
      -0.3156743834791814, -0.23978416351145374, -0.10155220117119267, 0.06179476245185285, 0.20931737480693005,
      0.2999969492489852, 0.3323978045925197,
    ];
    expectClose(secondRow, larger, 1e-6);
  });

  it("names a number of positions that is no square", () => {
    expect(() => resizePositions(wave([1, 9, 4], 1), 5)).toThrow("8 patch positions are no square grid");
  });
});
