import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { batchNorm } from "../../model/batch-norm.js";
import { convolve } from "../../model/conv.js";
import { type Tensor, type Tensor4D, tf } from "../../model/tf.js";
import { type Graph, intsAttribute, type Operation } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { disagreement, drawInputs, programOf, runBoth } from "../testing/agreement.js";
import { traceProgram } from "../trace/trace-program.js";
import { pushLayouts } from "./layout.js";
import { optimize } from "./optimize.js";

const [batch, size, width, depth] = [2, 8, 4, 5];
const float = (...shape: number[]) => ({ shape, dtype: "float32" }) as const;

const weights = Object.fromEntries(
  Array.from({ length: depth }, (_, index) => [
    [`w${index}`, float(width, index === 0 ? 3 : width, 3, 3)],
    [`scale${index}`, float(width)],
    [`bias${index}`, float(width)],
  ]).flat(),
);
const names = Object.keys(weights);
const specs = { images: float(batch, size, size, 3), ...weights };

/** Convolutions with norms, rectifiers, shortcuts, padding, a slice, a pool and a mean: what stands between convolutions. */
function features(images: Tensor, parameters: Readonly<Record<string, Tensor>>): Tensor {
  const layer = (x: Tensor, index: number, stride = 1): Tensor => {
    const convolved = convolve(x, parameters[`w${index}`]!, { stride, padding: 1 });
    const [weight, bias] = [parameters[`scale${index}`]!, parameters[`bias${index}`]!];
    return batchNorm({ x: convolved, weight, bias, epsilon: 1e-5 });
  };
  const stem = tf.maxPool(tf.relu(layer(images, 0)) as Tensor4D, 3, 2, 1);
  const first = tf.relu(tf.add(layer(tf.relu(layer(stem, 1)), 2), stem));
  const wider = tf.pad(first, [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ]);
  const second = tf.leakyRelu(layer(tf.clipByValue(wider, 0, 5), 3, 2), 0.1);
  const right = tf.slice(second, [0, 0, 1, 0], [-1, -1, 2, -1]);
  return tf.mean(tf.elu(layer(right, 4)), [1, 2]);
}

const step = programOf(specs, ({ images, ...parameters }) => {
  const lossOf = (...values: Tensor[]) =>
    tf.mean(
      tf.square(features(images!, Object.fromEntries(names.map((name, index) => [name, values[index]!])))),
    ) as never;
  const { value, grads } = tf.valueAndGrads(lossOf)(names.map((name) => parameters[name]!));
  return { loss: value, ...Object.fromEntries(names.map((name, index) => [`d${name}`, grads[index]!])) };
});

const order = (operation: Operation) => intsAttribute(operation, "perm").join();
/** Transposes that move the channels of whole images. */
const turns = (graph: Graph) =>
  operationsInOrder(graph).filter(
    (operation) =>
      operation.op === "Transpose" &&
      ["0,3,1,2", "0,2,3,1"].includes(order(operation)) &&
      operation.inputs[0]!.shape[0] === batch,
  );

describe("pushLayouts", () => {
  it("leaves one turn in a training step, that of the images on their way in", () => {
    const traced = traceProgram(step);
    expect(turns(traced)).toHaveLength(34);
    const left = turns(optimize(traced, { products: "fused" }));
    expect(left.map((operation) => [operation.inputs[0]!.operation.op, order(operation)])).toEqual([
      ["Input", "0,3,1,2"],
    ]);
  });

  it("changes no number", async () => {
    const both = await runBoth(step, drawInputs(specs, randomFor("layout")));
    expect(disagreement(both)).toBeLessThan(2e-5);
  });

  it("leaves alone what moves no fewer elements the other way", () => {
    const lonely = programOf({ x: float(2, 4, 4, 3) }, ({ x }) => ({
      y: tf.reshape(tf.relu(x!), [2, 48]),
      z: tf.transpose(tf.add(tf.transpose(x!, [0, 3, 1, 2]), 1), [0, 2, 3, 1]),
    }));
    const traced = traceProgram(lonely);
    expect(pushLayouts(traced)).toBe(traced);
  });

  it("reduces, pads, slices and joins along the axes where the channels stand first", async () => {
    const inputs = { x: float(2, 3, 4, 5), image: float(3, 4, 5), row: float(4, 1), channel: float(5) };
    const program = programOf(inputs, ({ x, image, row, channel }) => {
      const filter = tf.reshape(tf.sin(tf.range(0, 25)), [1, 1, 5, 5]) as Tensor4D;
      const convolved: Tensor = tf.conv2d(x as Tensor4D, filter, 1, "valid");
      const shifted = tf.mul(tf.add(tf.sub(convolved, image!), row!), channel!);
      const again = (y: Tensor) => tf.conv2d(y as Tensor4D, filter, 1, "valid");
      return {
        broadcast: again(shifted),
        means: tf.mean(shifted, [0, 1, 2]),
        rows: tf.max(shifted, [2, 3]),
        kept: again(tf.sub(shifted, tf.mean(shifted, [1, 2], true))),
        channels: tf.sum(shifted, 3),
        joined: again(tf.concat([shifted, tf.reverse(shifted, 1)], 1)),
        larger: again(tf.where(tf.greater(shifted, 0), shifted, tf.zerosLike(shifted))),
      };
    });
    expect(turns(optimize(traceProgram(program), { products: "fused" })).length).toBeLessThan(9);
    expect(disagreement(await runBoth(program, drawInputs(inputs)))).toBeLessThan(1e-5);
  });
});
