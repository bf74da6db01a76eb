import type { Travel } from "@consilium/shared/params/carried.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { parameterOf } from "../model/layers.js";
import type { NamedTensors, TensorSpec, TensorSpecs } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import { withPrefix } from "./ema.js";
import type { CarriedState, SslMethod } from "./method.js";

const prefix = "anchor.";

/**
 * The same method with FedProx's pull towards the round's beginning (Li et al. 2020): the loss gains
 * μ/2 · Σ ‖w − anchor‖² over every tensor of the layout, and the term "proximal" says how much. The anchors,
 * `anchor.<name>`, begin each round as the parameters do and do not move; they cost the memory of the parameters once more.
 * The pull is the same in every part of a batch, so a separable method stays one.
 * @param mu strength of the pull, positive
 */
export function proximal(method: SslMethod, layout: Pick<ParameterLayout, "parameters">, mu: number): SslMethod {
  const names = layout.parameters.map(({ name }) => name);
  const own = Object.keys(method.carried?.specs ?? {});
  return {
    ...method,
    carried: withAnchors(method.carried, layout),
    loss(parameters, batch, carried) {
      const result = method.loss(parameters, batch, only(carried, own));
      const pull: Scalar = tf.mul(squaredDistance(parameters, carried, names), mu / 2);
      return {
        ...result,
        loss: tf.add(result.loss, pull),
        terms: { ...result.terms, proximal: pull },
      };
    },
  };
}

function withAnchors(
  inner: CarriedState | undefined,
  { parameters }: Pick<ParameterLayout, "parameters">,
): CarriedState {
  const own = Object.keys(inner?.specs ?? {});
  const specs = parameters.map(({ name, shape }): [string, TensorSpec] => [name, { shape, dtype: "float32" }]);
  const anchors: TensorSpecs = withPrefix(Object.fromEntries(specs), prefix);
  const anchorNames = Object.keys(anchors);
  return {
    specs: { ...inner?.specs, ...anchors },
    travel: { ...inner?.travel, ...Object.fromEntries(anchorNames.map((name): [string, Travel] => [name, "anew"])) },
    start: (weights) => ({ ...inner?.start(weights), ...withPrefix(weights, prefix) }),
    afterStep: (end) => ({
      ...inner?.afterStep({ ...end, carried: only(end.carried, own) }),
      ...only(end.carried, anchorNames),
    }),
  };
}

function only(tensors: NamedTensors, names: readonly string[]): NamedTensors {
  return Object.fromEntries(names.map((name) => [name, parameterOf(tensors, name)]));
}

function squaredDistance(parameters: NamedTensors, carried: NamedTensors, names: readonly string[]): Scalar {
  const distances = names.map((name): Tensor => {
    return tf.sum(tf.square(tf.sub(parameterOf(parameters, name), parameterOf(carried, `${prefix}${name}`))));
  });
  return tf.addN(distances).asScalar();
}
