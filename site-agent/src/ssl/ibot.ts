import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { patchCount } from "@consilium/shared/params/architecture.js";
import { globalViews } from "../data/view-plan.js";
import { parameterOf } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, type Tensor3D, tf } from "../model/tf.js";
import { classTokens, patchTokens } from "../model/tokens.js";
import { teacherOf } from "./carried.js";
import { centredProbabilities, crossViewLoss, hiddenPatchLoss, splitViews, viewMajor } from "./distillation-loss.js";
import { drawHiddenPatches, hiddenPatchInputs, hiddenRows, mostHidden, tokensAt } from "./hidden-patches.js";
import type { MethodContext, SslMethod } from "./method.js";
import { teacherEntropy } from "./monitors.js";
import { bottleneck, prototypeLogits, similarities } from "./prototype-head.js";
import {
  distillationFrame,
  distillationMonitors,
  localClassTokens,
  nextCentre,
  patchTemperatureOf,
  studentTokens,
  teacherTokens,
  temperatureOf,
} from "./self-distillation.js";

const head = "dino_head";

/** Mean logits of all patches [1, K] from the mean of their points: similarities are linear, so one row is enough. */
function meanLogits(tokens: Tensor3D, teacher: NamedTensors): Tensor {
  const points = bottleneck(tf.reshape(tokens, [-1, tokens.shape[2]]), teacher, head);
  return similarities(tf.mean(points, 0, true), teacher, head);
}

/**
 * Image BERT with an online tokenizer (Zhou et al. 2022): DINO, whose student has patches of the large crops hidden and
 * also predicts what the teacher, which sees them, makes of these. Class token and patches share one head and have a
 * centre each.
 * @throws ConsiliumError "config-invalid" when the mask ratio hides no patch
 */
export function ibot(model: VitConfig, config: MethodOf<"ibot">, context: MethodContext): SslMethod {
  const frame = distillationFrame(model, config, context);
  mostHidden(model, config);
  return {
    ...frame,
    separable: isSeparable({ model, method: config }),
    coupling: batchCoupling({ model, method: config }),
    extraInputs: (batchSize) => ({ ...frame.extraInputs(batchSize), ...hiddenPatchInputs(batchSize, model, config) }),
    drawExtraInputs: (batchSize, random) => ({
      ...frame.drawExtraInputs(batchSize, random),
      ...drawHiddenPatches(batchSize, model, config, random),
    }),
    loss(parameters, batch, carried) {
      const both = { model, config, parameters, batch, teacher: teacherOf(carried) };
      const centre = parameterOf(carried, "centre.class");
      const patchCentre = parameterOf(carried, "centre.patch");
      const hidden = hiddenRows(batch, patchCount(model));

      const taught = teacherTokens(both);
      const taughtPatches = patchTokens(taught, model.registers);
      const teacherLogits = prototypeLogits(classTokens(taught), both.teacher, head);
      const probabilities = centredProbabilities(teacherLogits, centre, temperatureOf(batch));
      const patchLogits = prototypeLogits(tokensAt(taughtPatches, hidden), both.teacher, head);
      const patchProbabilities = centredProbabilities(patchLogits, patchCentre, patchTemperatureOf(batch));

      const learnt = studentTokens(both, viewMajor(parameterOf(batch, "hidden")));
      const globals = classTokens(learnt);
      const locals = localClassTokens(both);
      const classRows = locals === undefined ? globals : tf.concat([globals, locals], 0);
      const studentPatches = tokensAt(patchTokens(learnt, model.registers), hidden);

      const { studentTemperature, localCrops } = config;
      const dino = crossViewLoss({
        teacher: splitViews(probabilities, globalViews.length),
        student: splitViews(prototypeLogits(classRows, parameters, head), globalViews.length + localCrops),
        studentTemperature,
      });
      const patches = hiddenPatchLoss({
        teacher: patchProbabilities,
        student: prototypeLogits(studentPatches, parameters, head),
        studentTemperature,
        weights: hidden.weights,
        crops: taught.shape[0],
      });
      const entropy = teacherEntropy(probabilities);
      return {
        loss: tf.add(dino, patches),
        terms: { dino, ibot: patches, ...distillationMonitors(globals, { loss: dino, entropy }) },
        observed: {
          "centre.class": nextCentre(centre, tf.mean(teacherLogits, 0, true), config),
          "centre.patch": nextCentre(patchCentre, meanLogits(taughtPatches, both.teacher), config),
        },
      };
    },
  };
}
