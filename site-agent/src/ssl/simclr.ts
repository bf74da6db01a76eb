import type { MethodConfig, ModelConfig } from "@consilium/shared/config/run-config.js";
import { linear, parameterOf } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor2D, tf } from "../model/tf.js";
import { encode, pooled } from "../model/vit.js";
import type { SslMethod } from "./method.js";
import { ntXent, unitRows } from "./nt-xent.js";

type SimclrConfig = Extract<MethodConfig, { name: "simclr" }>;

const views = ["view1", "view2"] as const;

/** Image features [rows, width] → what the loss compares [rows, projectionDim]. */
function project(features: Tensor2D, parameters: NamedTensors): Tensor2D {
  const hidden = tf.relu(linear(features, { parameters, name: "head.fc1" }));
  return linear(hidden, { parameters, name: "head.fc2" }) as Tensor2D;
}

/**
 * Spread of unit features [rows, width] over the batch, one value: near 1 when they fill the sphere, near 0 when all
 * images look alike to the encoder.
 */
function featureSpread(features: Tensor2D): Scalar {
  const unit = unitRows(features);
  const variance = tf.mean(tf.square(tf.sub(unit, tf.mean(unit, 0, true))), 0);
  return tf.mul(tf.mean(tf.sqrt(variance)), Math.sqrt(features.shape[1]));
}

/** Contrasts two augmented views of every image with all other views of the batch. */
export function simclr(model: ModelConfig, config: SimclrConfig): SslMethod {
  return {
    name: "simclr",
    viewPlan: { views, imageSize: model.imageSize },
    separable: false,
    extraInputs: () => ({}),
    drawExtraInputs: () => ({}),
    loss(parameters, batch) {
      const images = tf.concat(
        views.map((view) => parameterOf(batch, view)),
        0,
      );
      const features = pooled(encode({ model, parameters, images }), config.pooling);
      const loss = ntXent(project(features, parameters), config.temperature);
      return { loss, terms: { featureSpread: featureSpread(features) } };
    },
  };
}
