import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import type { ModelConfig } from "@consilium/shared/config/model-config.js";
import { viewPlan } from "../data/view-plan.js";
import { backbone } from "../model/backbone.js";
import { linear, parameterOf } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor2D, tf } from "../model/tf.js";
import { branchInputs, branchScalesByView } from "./branch-scales.js";
import { carriedState, teacherMomentum, teacherOf } from "./carried.js";
import { headNorm } from "./head-norm.js";
import type { MethodContext, SslMethod } from "./method.js";
import { momentumSchedule } from "./method-schedules.js";
import { effectiveRank, featureSpread } from "./monitors.js";
import { unitRows } from "./nt-xent.js";

const views = ["view1", "view2"] as const;

type Config = MethodOf<"byol">;

/** Projector and predictor have the same form: [rows, inputs] → hidden, norm, rectifier → [rows, projectionDim]. */
function mlp(x: Tensor2D, { parameters, name, config }: { parameters: NamedTensors; name: string; config: Config }) {
  const hidden = linear(x, { parameters, name: `${name}.fc1` }) as Tensor2D;
  const normalized = headNorm(hidden, { parameters, name: `${name}.norm` }, config.headNorm);
  return linear(tf.relu(normalized), { parameters, name: `${name}.fc2` }) as Tensor2D;
}

/** 2 − 2 cos of each pair of rows, averaged. Rows [rows, width]. */
export function cosineDistance(predictions: Tensor2D, targets: Tensor2D): Scalar {
  const cosines = tf.sum(tf.mul(unitRows(predictions), unitRows(targets)), 1);
  return tf.sub(2, tf.mul(tf.mean(cosines), 2));
}

/**
 * Bootstrap your own latent (Grill et al. 2020): from one view of an image, the student predicts what its moving average
 * makes of the other. Nothing pushes images apart; predictor and moving average keep it from collapsing. Views go through
 * the networks one after the other, so that batch norms see one view at a time.
 */
export function byol(model: ModelConfig, config: Config, context: MethodContext): SslMethod {
  const carried = carriedState({ model, method: config, ...context });
  return {
    name: "byol",
    views: viewPlan({ model, method: config }),
    separable: isSeparable({ model, method: config }),
    coupling: batchCoupling({ model, method: config }),
    carried,
    scalars: { [teacherMomentum]: momentumSchedule(config, context) },
    ...branchInputs(model, views.length),
    loss(parameters, batch, carriedTensors) {
      const teacher = teacherOf(carriedTensors);
      const shared = { model, pooling: config.pooling, mode: "training" } as const;
      let statistics: NamedTensors = carriedTensors;
      const branches = branchScalesByView(batch, views.length);
      const sides = views.map((view, index) => {
        const images = parameterOf(batch, view);
        const online = backbone({ ...shared, parameters, statistics, images, ...branches[index] });
        statistics = { ...statistics, ...online.statistics };
        const target = backbone({ ...shared, parameters: teacher, images });
        const projected = mlp(online.features, { parameters, name: "projector", config });
        return {
          features: online.features,
          prediction: mlp(projected, { parameters, name: "predictor", config }),
          target: mlp(target.features, { parameters: teacher, name: "projector", config }),
          observed: online.statistics,
        };
      });
      const [first, second] = sides as [(typeof sides)[number], (typeof sides)[number]];
      const loss = tf.add(
        cosineDistance(first.prediction, second.target),
        cosineDistance(second.prediction, first.target),
      ) as Scalar;
      return {
        loss,
        terms: { featureSpread: featureSpread(first.features), effectiveRank: effectiveRank(first.features) },
        observed: second.observed,
      };
    },
  };
}
