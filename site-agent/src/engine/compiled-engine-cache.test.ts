import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Tensor4D, tf } from "../model/tf.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import type { Program } from "./program.js";
import { cachedModel } from "./program-cache.js";
import { drawInputs } from "./testing/agreement.js";

let cacheDirectory: string;
beforeEach(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), "compiled-cache-"));
});
afterEach(() => rm(cacheDirectory, { recursive: true }));

/** Counts how often its code runs. */
function attention(): Program & { traces: number } {
  return {
    traces: 0,
    name: "attention",
    description: "{}",
    inputs: { x: { shape: [2, 4, 8], dtype: "float32" }, w: { shape: [8, 8], dtype: "float32" } },
    build({ x, w }) {
      this.traces++;
      const q = tf.reshape(tf.matMul(tf.reshape(x!, [8, 8]), w!), [2, 4, 8]);
      const y = tf.matMul(tf.softmax(tf.matMul(q, x!, false, true)), x!);
      return { y, x: tf.mul(x!, 0.5) };
    },
  };
}

function convolution(): Program {
  return {
    name: "convolution",
    description: "{}",
    inputs: { x: { shape: [1, 8, 8, 16], dtype: "float32" }, w: { shape: [3, 3, 16, 16], dtype: "float32" } },
    build: ({ x, w }) => ({ y: tf.conv2d(x as Tensor4D, w as Tensor4D, 1, "same") }),
  };
}

async function runWith(program: Program, directory: string | undefined) {
  const compiled = await compiledCpuEngine({ threads: 1, cacheDirectory: directory }).compile(program);
  const { y } = await compiled.run(drawInputs(program.inputs));
  await compiled.release();
  return { report: compiled.report, y: [...y!.data] };
}

it("traces a program once for all engines that share a folder, and computes the same bits", async () => {
  const program = attention();
  const uncached = await runWith(program, undefined);
  expect(uncached.report).toMatchObject({ program: "attention", cache: "off", traced: true });
  const cold = await runWith(program, cacheDirectory);
  expect(cold.report).toMatchObject({ cache: "miss", traced: true });
  expect(program.traces).toBe(2);
  const warm = await runWith(program, cacheDirectory);
  expect(warm.report).toMatchObject({ cache: "hit", traced: false });
  expect(program.traces).toBe(2);
  expect(warm.y).toEqual(cold.y);
  expect(warm.y).toEqual(uncached.y);
  // Nothing but the model stays.
  expect(await readdir(cacheDirectory)).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.program$/)]);
});

it("compiles anew what ONNX Runtime refuses", async () => {
  const program = attention();
  const { y } = await runWith(program, undefined);
  const variant = `cpu ${process.platform} ${process.arch}`;
  const compile = () => ({ bytes: Uint8Array.of(1, 2, 3), outputs: [], peakBytes: 0 });
  const options = { products: "fused" as const };
  await cachedModel({ directory: cacheDirectory, program, options, variant, compile });
  const damaged = await runWith(program, cacheDirectory);
  expect(damaged.report).toMatchObject({ cache: "damaged", traced: true });
  expect(damaged.y).toEqual(y);
  expect((await runWith(program, cacheDirectory)).report).toMatchObject({ cache: "miss" });
  expect((await runWith(program, cacheDirectory)).report).toMatchObject({ cache: "hit" });
});

it("keeps programs with convolutions as well", async () => {
  const program = convolution();
  const uncached = await runWith(program, undefined);
  await runWith(program, cacheDirectory);
  const warm = await runWith(program, cacheDirectory);
  expect(warm.report).toMatchObject({ cache: "hit", traced: false });
  expect(warm.y).toEqual(uncached.y);
});

it("runs a program whose folder cannot be made", async () => {
  const program = attention();
  const { report, y } = await runWith(program, "/dev/null/cache");
  expect(report).toMatchObject({ traced: true, notKept: "ENOTDIR" });
  expect(y.every(Number.isFinite)).toBe(true);
});
