import { describe, expect, it } from "vitest";
import { expectClose, wave } from "../../../test/support/golden.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { sinkhornKnopp } from "./sinkhorn-knopp.js";

const logits = wave([6, 5], 3) as Tensor2D;

/** An independent evaluation, first and last row, and the totals of the prototypes. */
const firstRow = [
  0.9969610053921676, 0.0002874855179267978, 2.6039977529570764e-6, 0.00017548637850175599, 0.0025734187136509873,
];
const lastRow = [
  0.9338043368959101, 0.06616030948610623, 3.522701241094378e-5, 1.2659638912714757e-7, 9.183447062070685e-12,
];
const totals = [1.9444183392742824, 0.9915933309711851, 0.5485601148031315, 0.530857522668801, 1.9845706922826];

describe("sinkhornKnopp", () => {
  it("has the values of an independent evaluation", () => {
    const plan = sinkhornKnopp(logits, 0.07);
    expectClose(tf.slice(plan, [0, 0], [1, 5]), firstRow, 1e-6);
    expectClose(tf.slice(plan, [5, 0], [1, 5]), lastRow, 1e-6);
    expectClose(tf.sum(plan, 0), totals, 1e-5);
    expectClose(tf.sum(plan, 1), Array(6).fill(1), 1e-6);
  });

  it("does not see rows that only fill up", () => {
    const padded = tf.concat([logits, tf.fill([2, 5], 3)], 0) as Tensor2D;
    const plan = sinkhornKnopp(padded, 0.07, tf.tensor1d([1, 1, 1, 1, 1, 1, 0, 0]));
    expectClose(tf.slice(plan, [0, 0], [1, 5]), firstRow, 1e-6);
    expectClose(tf.slice(plan, [6, 0], [2, 5]), Array(10).fill(0), 0);
  });

  it("stays finite for logits that a plain exponential would not survive", () => {
    const plan = sinkhornKnopp(tf.mul(logits, 10) as Tensor2D, 0.04);
    expect(tf.all(tf.isFinite(plan)).dataSync()[0]).toBe(1);
  });
});
