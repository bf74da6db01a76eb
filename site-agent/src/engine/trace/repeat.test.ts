import { describe, expect, it } from "vitest";
import { type Tensor, tf } from "../../model/tf.js";
import { compileModel } from "../compiled-model.js";
import { disagreement, drawInputs, programOf, runBoth } from "../testing/agreement.js";
import { repeat } from "./repeat.js";

const inputs = {
  weight: { shape: [3, 4], dtype: "float32" },
  rows: { shape: [6, 3], dtype: "float32" },
  places: { shape: [6], dtype: "int32" },
} as const;

/** Sums gradients of a small loss over parts of the rows. */
const accumulate = (count: number) =>
  programOf(inputs, ({ weight, rows, places }) => {
    const start = { sum: tf.zerosLike(weight!), loss: tf.scalar(0), bias: tf.zeros([4]) };
    const total = repeat({ count, start, rows: { rows: rows!, places: places! } }, (current, mine) => {
      const shift = tf.reshape(tf.cast(mine["places"]!, "float32"), [-1, 1]);
      const lossOf = (w: Tensor) => tf.sum(tf.square(tf.add(tf.matMul(mine["rows"] as never, w as never), shift)));
      const { value, grad } = tf.valueAndGrad(lossOf as never)(weight!);
      return {
        sum: tf.add(current["sum"]!, grad),
        loss: tf.add(current["loss"]!, value),
        bias: tf.add(current["bias"]!, tf.sum(tf.matMul(mine["rows"] as never, weight as never), 0)),
      };
    });
    return { ...total, twice: tf.mul(total["loss"]!, 2) };
  });

describe("repeat", () => {
  it.each([1, 2, 3, 6])("computes the same in %i rounds as at once, eagerly and compiled", async (count) => {
    const values = drawInputs(inputs);
    const many = await runBoth(accumulate(count), values);
    expect(disagreement(many)).toBeLessThan(1e-6);
    const once = await runBoth(accumulate(1), values);
    expect(disagreement({ eager: once.eager, compiled: many.compiled })).toBeLessThan(1e-5);
  });

  it("holds the function once, however many rounds there are", () => {
    const size = (count: number) => compileModel(accumulate(count), { products: "fused" }).bytes.length;
    expect(Math.abs(size(6) - size(2))).toBeLessThan(50);
  });

  it("hands through what a round does not change, and what it takes from outside", async () => {
    const program = programOf(inputs, ({ weight, rows }) =>
      repeat({ count: 2, start: { kept: rows!, taken: tf.zerosLike(weight!) }, rows: {} }, ({ kept }) => ({
        kept: kept!,
        taken: weight!,
      })),
    );
    expect(disagreement(await runBoth(program, drawInputs(inputs)))).toBe(0);
  });

  it("repeats inside a repetition", async () => {
    const program = programOf(inputs, ({ rows }) => {
      const inner = (start: Tensor, part: Tensor) =>
        repeat({ count: 3, start: { sum: start }, rows: { part } }, ({ sum }, mine) => ({
          sum: tf.add(tf.mul(sum!, 0.5), tf.sum(mine["part"]!, 0)),
        }))["sum"]!;
      return repeat({ count: 2, start: { sum: tf.zeros([3]) }, rows: { rows: rows! } }, ({ sum }, mine) => ({
        sum: inner(sum!, mine["rows"]!),
      }));
    });
    expect(disagreement(await runBoth(program, drawInputs(inputs)))).toBeLessThan(1e-6);
  });
});
