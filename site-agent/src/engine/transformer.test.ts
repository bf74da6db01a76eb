import { expect, it } from "vitest";
import type { NamedTensors, TensorSpecs } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import { drawInputs, programOf, relativeDifference, runBoth } from "./testing/agreement.js";

const [batch, tokens, width, heads] = [2, 5, 8, 2];

/** Two blocks written with TensorFlow.js's own gradients only, unlike the project's model. */
function block(x: Tensor, parameters: NamedTensors, index: number): Tensor {
  const at = (name: string): Tensor => parameters[`${index}/${name}`]!;
  const norm = (y: Tensor) => {
    const { mean, variance } = tf.moments(y, -1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(y, mean), tf.rsqrt(tf.add(variance, 1e-5))), at("scale")), at("shift"));
  };
  const dense = (y: Tensor, name: string) => tf.matMul(tf.reshape(y, [batch * tokens, -1]), at(name));
  const qkv = tf.reshape(dense(norm(x), "qkv"), [batch, tokens, 3, heads, width / heads]);
  const [q, k, v] = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4])) as [Tensor, Tensor, Tensor];
  const weights = tf.softmax(tf.div(tf.matMul(q, k, false, true), Math.sqrt(width / heads)));
  const attended = tf.reshape(tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]), [batch, tokens, width]);
  const middle: Tensor = tf.add(x, attended);
  const hidden = dense(norm(middle), "up");
  const active = tf.mul(tf.mul(hidden, 0.5), tf.add(tf.erf(tf.mul(hidden, Math.SQRT1_2)), 1));
  return tf.add(middle, tf.reshape(tf.matMul(active, at("down")), [batch, tokens, width]));
}

const shapes: Record<string, number[]> = { class: [1, 1, width], embed: [6, width] };
for (const index of [0, 1]) {
  Object.assign(shapes, {
    [`${index}/scale`]: [width],
    [`${index}/shift`]: [width],
    [`${index}/qkv`]: [width, 3 * width],
    [`${index}/up`]: [width, 4 * width],
    [`${index}/down`]: [4 * width, width],
  });
}
const floats = (shape: number[]) => ({ shape, dtype: "float32" }) as const;
const specs: TensorSpecs = {
  ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, floats(shape)])),
  patches: floats([batch, tokens, 6]),
  kept: { shape: [batch * (tokens - 1)], dtype: "int32" },
};

/** Gathers visible tokens, prepends a repeated class token, takes cross entropy: what masked and contrastive losses use. */
function loss(inputs: NamedTensors): Scalar {
  const flat = tf.matMul(tf.reshape(inputs["patches"]!, [batch * tokens, 6]), inputs["embed"]!);
  const visible = tf.reshape(tf.gather(flat, inputs["kept"]!.as1D()), [batch, tokens - 1, width]);
  const sequence = tf.concat([tf.tile(inputs["class"]!, [batch, 1, 1]), visible], 1);
  const out = [0, 1].reduce((x: Tensor, index) => block(x, inputs, index), sequence);
  const first = tf.reshape(tf.slice(out, [0, 0, 0], [-1, 1, -1]), [batch, width]);
  const entropy = tf.neg(tf.sum(tf.mul(tf.oneHot(tf.tensor1d([1, 3], "int32"), width), tf.logSoftmax(first))));
  return tf.add(entropy, tf.mean(tf.square(tf.maximum(out, 0.1)))).asScalar();
}

it("agrees on a transformer's loss and every gradient", async () => {
  const names = Object.keys(shapes);
  const program = programOf(specs, (inputs) => {
    const parameters = names.map((name) => inputs[name]!);
    const withGradients = tf.valueAndGrads((...tensors: Tensor[]) =>
      loss({ ...inputs, ...Object.fromEntries(names.map((name, index) => [name, tensors[index]!])) }),
    );
    const { value, grads } = withGradients(parameters);
    return { loss: value, ...Object.fromEntries(names.map((name, index) => [`gradient/${name}`, grads[index]!])) };
  });
  const { eager, compiled } = await runBoth(program, drawInputs(specs));
  expect(relativeDifference(eager["loss"]!, compiled["loss"]!)).toBeLessThan(1e-5);
  for (const name of names) {
    const gradient = `gradient/${name}`;
    expect(
      eager[gradient]!.data.some((x) => Math.abs(x) > 1e-4),
      name,
    ).toBe(true);
    expect(relativeDifference(eager[gradient]!, compiled[gradient]!), name).toBeLessThan(1e-4);
  }
});
