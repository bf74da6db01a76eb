import { describe, expect, it } from "vitest";
import { noise } from "../../../test/support/golden.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { effectiveRank, featureSpread, teacherEntropy } from "./monitors.js";

const numberOf = (x: { dataSync(): ArrayLike<number> }) => x.dataSync()[0] ?? Number.NaN;

describe("featureSpread", () => {
  it("is near one for features in all directions and zero for one feature", () => {
    expect(numberOf(featureSpread(noise([400, 16], 1) as Tensor2D))).toBeCloseTo(1, 1);
    expect(numberOf(featureSpread(tf.ones([8, 16])))).toBeCloseTo(0, 5);
  });
});

describe("effectiveRank", () => {
  it("counts the directions in which features vary, whichever Gram matrix is smaller", () => {
    const line = tf.outerProduct([1, 2, 4, -1], [3, 1, 2]);
    expect(numberOf(effectiveRank(line))).toBeCloseTo(1, 4);
    expect(numberOf(effectiveRank(line.transpose()))).toBeCloseTo(1, 4);
    // Eigenvalues 9 and 1, twice each row's sign: (9 + 1)² / (81 + 1).
    const cross = tf.tensor2d([3, 0, -3, 0, 0, 1, 0, -1], [4, 2]);
    expect(numberOf(effectiveRank(cross))).toBeCloseTo(100 / 82, 4);
    expect(numberOf(effectiveRank(noise([2000, 8], 2) as Tensor2D))).toBeGreaterThan(7.8);
  });
});

describe("teacherEntropy", () => {
  it("is zero for certainty and ln K for ignorance", () => {
    expect(numberOf(teacherEntropy(tf.tensor2d([1, 0, 0, 0, 1, 0], [2, 3])))).toBeCloseTo(0, 6);
    expect(numberOf(teacherEntropy(tf.fill([2, 8], 1 / 8) as Tensor2D))).toBeCloseTo(Math.log(8), 5);
  });
});
