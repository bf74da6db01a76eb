import { expect, it } from "vitest";
import { layerNorm } from "../../model/layer-norm.js";
import { type Tensor, tf } from "../../model/tf.js";
import { disagreement, drawInputs, programOf, runBoth } from "../testing/agreement.js";
import { operators } from "../testing/graphs.js";
import { traceProgram } from "../trace/trace-program.js";
import { optimize } from "./optimize.js";

const inputs = {
  x: { shape: [3, 5, 8], dtype: "float32" },
  weight: { shape: [8], dtype: "float32" },
  bias: { shape: [8], dtype: "float32" },
} as const;

const program = programOf(inputs, ({ x, weight, bias }) => {
  const lossOf = (a: Tensor, b: Tensor, c: Tensor) =>
    tf.sum(tf.square(layerNorm({ x: a, weight: b, bias: c, epsilon: 1e-6 })));
  const [dx, dWeight, dBias] = tf.grads(lossOf as never)([x!, weight!, bias!]);
  return {
    y: layerNorm({ x: x!, weight: weight!, bias: bias!, epsilon: 1e-6 }),
    dx: dx!,
    dWeight: dWeight!,
    dBias: dBias!,
  };
});

const count = (products: "fused" | "plain", op: string) =>
  operators(optimize(traceProgram(program), { products })).filter((name) => name === op).length;

it("standardises in one operator where the device has it, and leaves the parts elsewhere", () => {
  expect([count("fused", "LayerNormalization"), count("fused", "ReduceMean")]).toEqual([1, 0]);
  expect([count("plain", "LayerNormalization"), count("plain", "ReduceMean")]).toEqual([0, 2]);
});

it("gives the same values and gradients", async () => {
  expect(disagreement(await runBoth(program, drawInputs(inputs)))).toBeLessThan(1e-5);
});

it("leaves a mean over another axis alone", () => {
  const other = programOf(inputs, ({ x }) => {
    const centred = tf.sub(x!, tf.mean(x!, 1, true));
    return { y: tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), 1e-6))) };
  });
  expect(operators(optimize(traceProgram(other), { products: "fused" }))).not.toContain("LayerNormalization");
});
