import { expect, it } from "vitest";
import { type Tensor, tf } from "../../model/tf.js";
import { modelOf } from "../compiled-model.js";
import { CompiledSession } from "../compiled-session.js";
import { createCpuSession } from "../cpu-session.js";
import type { Graph } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import type { Program } from "../program.js";
import { drawInputs, programOf } from "../testing/agreement.js";
import { repeat } from "../trace/repeat.js";
import { traceProgram } from "../trace/trace-program.js";
import { optimize } from "./optimize.js";
import { unrollRepeats } from "./webgpu-unroll.js";

/** A loop in a loop, which read their rows, what they carry, and a tensor from outside. */
const program = programOf(
  { weight: { shape: [3], dtype: "float32" }, rows: { shape: [6, 3], dtype: "float32" } },
  ({ weight, rows }) => {
    const inner = (start: Tensor, part: Tensor) =>
      repeat({ count: 3, start: { sum: start }, rows: { part } }, ({ sum }, mine) => ({
        sum: tf.add(tf.mul(sum!, weight!), tf.sum(mine["part"]!, 0)),
      }))["sum"]!;
    return repeat({ count: 2, start: { sum: tf.zeros([3]), kept: rows! }, rows: { rows: rows! } }, (current, mine) => ({
      sum: inner(current["sum"]!, mine["rows"]!),
      kept: current["kept"]!,
    }));
  },
);

async function run(graph: Graph, of: Program): Promise<number[][]> {
  const { bytes, outputs } = modelOf(optimize(graph, { products: "plain" }));
  const session = await createCpuSession(bytes, { name: of.name, threads: 1, level: "disabled" });
  const results = await new CompiledSession(of, outputs, session).run(drawInputs(of.inputs));
  await session.release();
  return Object.values(results).map(({ data }) => [...data]);
}

it("writes loops out, and computes the same", async () => {
  const traced = traceProgram(program);
  const unrolled = unrollRepeats(traced);
  expect(operationsInOrder(traced).filter(({ op }) => op === "Repeat")).toHaveLength(1);
  expect(operationsInOrder(unrolled).filter(({ body }) => body !== undefined)).toEqual([]);
  expect(await run(unrolled, program)).toEqual(await run(traced, program));
});
