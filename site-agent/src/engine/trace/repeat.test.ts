import { describe, expect, it } from "vitest";
import { type Tensor, tf } from "../../model/tf.js";
import { compileModel, modelOf } from "../compiled-model.js";
import { CompiledSession } from "../compiled-session.js";
import { createCpuSession } from "../cpu-session.js";
import { optimize } from "../passes/optimize.js";
import { unrollRepeats } from "../passes/webgpu-unroll.js";
import { disagreement, drawInputs, programOf, runBoth } from "../testing/agreement.js";
import { repeat } from "./repeat.js";
import { traceProgram } from "./trace-program.js";

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

  it("carries what is called like its own values", async () => {
    const program = programOf(inputs, ({ rows }) =>
      repeat(
        { count: 3, start: { index: tf.scalar(1), "captured.1": tf.scalar(2) }, rows: { rows: rows! } },
        (now, mine) => ({
          index: tf.add(now["index"]!, tf.sum(mine["rows"]!)),
          "captured.1": tf.mul(now["captured.1"]!, now["index"]!),
        }),
      ),
    );
    expect(disagreement(await runBoth(program, drawInputs(inputs)))).toBeLessThan(1e-5);
  });

  it("returns a constant from outside and the same value twice", async () => {
    const program = programOf(inputs, ({ rows }) => {
      const constant = tf.tensor1d([1, 2, 3]);
      const start = { constant: tf.zeros([3]), one: tf.scalar(0), other: tf.scalar(0), rows: rows! };
      return repeat({ count: 2, start, rows: {} }, (now) => {
        const sum = tf.sum(tf.add(now["rows"]!, now["constant"]!));
        return { constant, one: sum, other: sum, rows: rows! };
      });
    });
    expect(disagreement(await runBoth(program, drawInputs(inputs)))).toBeLessThan(1e-5);
  });

  it("reads values of every loop around it", async () => {
    const program = programOf(inputs, ({ weight, rows }) => {
      const start = { sum: tf.zeros([3, 4]), last: tf.zeros([3]), before: tf.zeros([3, 4]) };
      return repeat({ count: 3, start, rows: { rows: rows! } }, ({ sum }, mine) => {
        const doubled = tf.mul(sum!, 0.5);
        const inside = { sum: sum!, last: tf.zeros([3]), before: tf.zeros([3, 4]) };
        return repeat({ count: 2, start: inside, rows: { row: mine["rows"]! } }, (now, { row }) => ({
          sum: tf.add(tf.add(now["sum"]!, doubled), tf.mul(weight!, tf.reshape(row!, [3, 1]))),
          last: tf.sum(mine["rows"]!, 0),
          before: sum!,
        }));
      });
    });
    const values = drawInputs(inputs);
    const runs = await runBoth(program, values);
    expect(disagreement(runs)).toBeLessThan(1e-5);
    const unrolled = modelOf(optimize(unrollRepeats(traceProgram(program)), { products: "plain" }));
    const session = new CompiledSession(
      program,
      unrolled.outputs,
      await createCpuSession(unrolled.bytes, { name: "unrolled", threads: 1, level: "all" }),
    );
    expect(disagreement({ ...runs, compiled: await session.run(values) })).toBeLessThan(1e-5);
    await session.release();
  });
});
