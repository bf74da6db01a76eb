import { type ParameterLayout, placeParameters } from "@consilium/shared/params/layout.js";
import { type Scalar, tf } from "../../model/tf.js";
import type { SslMethod } from "../../ssl/method.js";

/** For tests: a method with loss 0.5 |x w + bias - view|² and closed-form gradients. */
export const quadratic: SslMethod = {
  name: "quadratic",
  views: [{ name: "view", size: 1, channels: 3, kind: "pixels" }],
  separable: false,
  coupling: undefined,
  extraInputs: () => ({ scale: { shape: [], dtype: "float32" } }),
  drawExtraInputs: () => ({ scale: { shape: [], data: Float32Array.of(1) } }),
  loss(parameters, batch) {
    const predicted = tf.add(parameters["weight"]!, parameters["bias"]!);
    const gap = tf.sub(tf.mul(predicted, batch["scale"]!), tf.reshape(batch["view"]!, [-1, 3]));
    const loss: Scalar = tf.mul(tf.sum(tf.square(gap)), 0.5);
    return { loss, terms: { gap: tf.mean(gap) as Scalar } };
  },
};

export const quadraticLayout: ParameterLayout = placeParameters([
  { name: "weight", shape: [2, 3], initializer: { kind: "zeros" } },
  { name: "bias", shape: [3], initializer: { kind: "zeros" } },
  { name: "unused", shape: [2, 2], initializer: { kind: "ones" } },
]);
