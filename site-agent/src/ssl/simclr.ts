import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import { isVit, type ModelConfig } from "@consilium/shared/config/model-config.js";
import { viewPlan } from "../data/view-plan.js";
import { backbone } from "../model/backbone.js";
import { linear, parameterOf } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { branchInputs, branchScalesOf } from "./branch-scales.js";
import { carriedState } from "./carried.js";
import type { MethodContext, SslMethod } from "./method.js";
import { effectiveRank, featureSpread } from "./monitors.js";
import { ntXent } from "./nt-xent.js";

const views = ["view1", "view2"] as const;

/** Image features [rows, width] → what the loss compares [rows, projectionDim]. */
function project(features: Tensor2D, parameters: NamedTensors): Tensor2D {
  const hidden = tf.relu(linear(features, { parameters, name: "head.fc1" }));
  return linear(hidden, { parameters, name: "head.fc2" }) as Tensor2D;
}

/** Contrasts two augmented views of every image with all other views of the batch (Chen et al. 2020). */
export function simclr(model: ModelConfig, config: MethodOf<"simclr">, context: MethodContext): SslMethod {
  return {
    name: "simclr",
    views: viewPlan({ model, method: config }),
    separable: isSeparable({ model, method: config }),
    coupling: batchCoupling({ model, method: config }),
    // A transformer has no running statistics.
    ...(isVit(model) ? {} : { carried: carriedState({ model, method: config, ...context }) }),
    ...branchInputs(model, views.length),
    loss(parameters, batch, carried) {
      const images = tf.concat(
        views.map((view) => parameterOf(batch, view)),
        0,
      );
      const { pooling } = config;
      const { features, statistics } = backbone({
        ...{ model, parameters, statistics: carried, images, pooling },
        ...branchScalesOf(batch),
        mode: "training",
      });
      const loss = ntXent(project(features, parameters), config.temperature);
      return {
        loss,
        terms: { featureSpread: featureSpread(features), effectiveRank: effectiveRank(features) },
        observed: statistics,
      };
    },
  };
}
