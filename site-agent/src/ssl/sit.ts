import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { viewPlan } from "../data/view-plan.js";
import { gelu } from "../model/gelu.js";
import { linear } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor2D, type Tensor3D, tf } from "../model/tf.js";
import { classTokens } from "../model/tokens.js";
import { encode } from "../model/vit.js";
import { branchInputs, branchScalesOf } from "./branch-scales.js";
import { carriedState, teacherMomentum, teacherOf } from "./carried.js";
import { corruptedBatch, corruptedViews } from "./corruption.js";
import { splitViews } from "./distillation-loss.js";
import { headNorm, plainHeadNorm } from "./head-norm.js";
import { infoNce } from "./info-nce.js";
import type { MethodContext, SslMethod } from "./method.js";
import { momentumSchedule } from "./method-schedules.js";
import { effectiveRank, featureSpread } from "./monitors.js";
import { reconstructedPatches, restorationLoss } from "./reconstruction.js";

type Config = MethodOf<"sit">;

/** Class tokens [rows, width] → what is contrasted [rows, projectionDim]. */
export function contrastiveProjection(x: Tensor2D, parameters: NamedTensors, config: Config): Tensor2D {
  const layer = (name: string) => ({ parameters, name: `contrastive.${name}` });
  const first = headNorm(linear(x, layer("fc1")) as Tensor2D, layer("norm1"), config.headNorm);
  const second = headNorm(linear(tf.relu(first), layer("fc2")) as Tensor2D, layer("norm2"), config.headNorm);
  return plainHeadNorm(linear(gelu(second), layer("fc3")) as Tensor2D, config.headNorm);
}

/** Each view by itself, so that batch norms see one view at a time. */
function projections(tokens: Tensor3D, parameters: NamedTensors, config: Config): Tensor2D[] {
  return splitViews(classTokens(tokens), corruptedViews.length).map((rows) =>
    contrastiveProjection(rows, parameters, config),
  );
}

/**
 * Self-supervised vision transformer (Atito et al. 2021): restores corrupted views as GMML does, from the last block, and
 * has the class token of each corrupted view agree with a moving average's of the other view, which is clean.
 */
export function sit(model: VitConfig, config: Config, context: MethodContext): SslMethod {
  return {
    name: "sit",
    views: viewPlan({ model, method: config }),
    separable: isSeparable({ model, method: config }),
    coupling: batchCoupling({ model, method: config }),
    carried: carriedState({ model, method: config, ...context }),
    scalars: { [teacherMomentum]: momentumSchedule(config, context) },
    ...branchInputs(model, corruptedViews.length),
    loss(parameters, batch, carried) {
      const { clean, corrupted, mask } = corruptedBatch(batch);
      const teacher = teacherOf(carried);
      const tokens = encode({ model, parameters, images: corrupted, ...branchScalesOf(batch) });
      const taught = encode({ model, parameters: teacher, images: clean });

      const prediction = reconstructedPatches(tokens, parameters, model);
      const reconstruction = restorationLoss({ prediction, clean, mask }, model.patchSize);
      const [query1, query2] = projections(tokens, parameters, config) as [Tensor2D, Tensor2D];
      const [key1, key2] = projections(taught, teacher, config) as [Tensor2D, Tensor2D];
      const { temperature, reconstructionWeight } = config;
      const contrastive = tf.add(infoNce(query1, key2, temperature), infoNce(query2, key1, temperature)) as Scalar;

      const features = classTokens(tokens);
      const monitors = { featureSpread: featureSpread(features), effectiveRank: effectiveRank(features) };
      return {
        loss: tf.add(contrastive, tf.mul(reconstruction, reconstructionWeight)),
        terms: { reconstruction, contrastive, ...monitors },
      };
    },
  };
}
