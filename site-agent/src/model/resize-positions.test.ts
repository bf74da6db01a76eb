import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { resizeMatrix, resizePositions } from "./resize-positions.js";
import { tf } from "./tf.js";

describe("resizePositions", () => {
  const positions = wave([1, 10, 4], 1);

  it("keeps the class token, and everything when the grid has the wanted size", () => {
    const resized = resizePositions(positions, 5);
    expect(resized.shape).toEqual([1, 26, 4]);
    expectClose(tf.slice(resized, [0, 0, 0], [1, 1, 4]), tf.slice(positions, [0, 0, 0], [1, 1, 4]).dataSync(), 0);
    expect(resizePositions(positions, 3, 0.1)).toBe(positions);
  });

  it("keeps a constant grid and a grid's orientation", () => {
    for (const offset of [0, 0.1]) {
      expectClose(
        tf.slice(resizePositions(tf.ones([1, 10, 1]), 7, offset), [0, 1, 0], [1, 49, 1]),
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

  it("names a number of positions that is no square", () => {
    expect(() => resizePositions(wave([1, 9, 4], 1), 5)).toThrow("8 patch positions are no square grid");
  });
});
