import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { architectureOf, patchValues } from "@consilium/shared/params/architecture.js";
import { type ParameterLayout, placeParameters } from "@consilium/shared/params/layout.js";
import { encoderTensorNames, parameterLayout } from "@consilium/shared/params/parameters.js";
import { linear, parameterOf } from "@consilium/site-agent/model/layers.js";
import { patchify } from "@consilium/site-agent/model/patches.js";
import { type Scalar, type Tensor3D, tf } from "@consilium/site-agent/model/tf.js";
import { encode } from "@consilium/site-agent/model/vit.js";
import type { SslMethod } from "@consilium/site-agent/ssl/method.js";

/**
 * A step for measurements only: every token through the encoder and a linear map back to the pixels of its patch, mean
 * squared error over the image. It costs what masked modelling with mask tokens in the encoder costs.
 */
export function denseReconstruction(model: VitConfig): SslMethod {
  return {
    name: "dense reconstruction",
    views: [{ name: "view", size: model.imageSize, channels: 3, kind: "pixels" }],
    separable: true,
    coupling: undefined,
    extraInputs: () => ({}),
    drawExtraInputs: () => ({}),
    loss(parameters, batch) {
      const images = parameterOf(batch, "view");
      const tokens = encode({ model, parameters, images });
      const [batchSize, count, width] = tokens.shape;
      const patches: Tensor3D = tf.slice(tokens, [0, 1, 0], [batchSize, count - 1, width]);
      const prediction = linear(patches, { parameters, name: "head" });
      const target = patchify(images, model.patchSize);
      const loss: Scalar = tf.mean(tf.square(tf.sub(prediction, target)));
      return { loss, terms: {} };
    },
  };
}

/** The encoder with trained positions, and `head` [patch values, width]. */
export function denseLayout(model: VitConfig): ParameterLayout {
  const layout = parameterLayout({
    model,
    method: { name: "simclr", temperature: 1, projectionDim: 8, pooling: "class" },
  });
  const encoder = new Set(encoderTensorNames(layout));
  const { width } = architectureOf(model);
  const values = patchValues(model);
  return placeParameters([
    ...layout.parameters
      .filter(({ name }) => encoder.has(name))
      .map(({ name, shape, initializer }) => ({ name, shape, initializer })),
    { name: "head.weight", shape: [values, width], initializer: { kind: "xavier-uniform" } },
    { name: "head.bias", shape: [values], initializer: { kind: "zeros" } },
  ]);
}
