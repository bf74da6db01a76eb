import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { globalViews } from "../data/view-plan.js";
import { parameterOf } from "../model/layers.js";
import { tf } from "../model/tf.js";
import { classTokens } from "../model/tokens.js";
import { teacherOf } from "./carried.js";
import { centredProbabilities, crossViewLoss, splitViews } from "./distillation-loss.js";
import type { MethodContext, SslMethod } from "./method.js";
import { teacherEntropy } from "./monitors.js";
import { prototypeLogits } from "./prototype-head.js";
import {
  distillationFrame,
  distillationMonitors,
  localClassTokens,
  nextCentre,
  studentTokens,
  teacherTokens,
  temperatureOf,
} from "./self-distillation.js";

const head = "dino_head";

/**
 * Self-distillation without labels (Caron et al. 2021): the student's view of every crop is to agree, over K prototypes,
 * with what a teacher, its own moving average, sees in the other large crop. The teacher is centred and sharpened.
 */
export function dino(model: VitConfig, config: MethodOf<"dino">, context: MethodContext): SslMethod {
  return {
    ...distillationFrame(model, config, context),
    separable: isSeparable({ model, method: config }),
    coupling: batchCoupling({ model, method: config }),
    loss(parameters, batch, carried) {
      const both = { model, config, parameters, batch, teacher: teacherOf(carried) };
      const centre = parameterOf(carried, "centre.class");
      const teacherLogits = prototypeLogits(classTokens(teacherTokens(both)), both.teacher, head);
      const probabilities = centredProbabilities(teacherLogits, centre, temperatureOf(batch));

      const globals = classTokens(studentTokens(both));
      const locals = localClassTokens(both);
      const classRows = locals === undefined ? globals : tf.concat([globals, locals], 0);
      const studentLogits = prototypeLogits(classRows, parameters, head);

      const loss = crossViewLoss({
        teacher: splitViews(probabilities, globalViews.length),
        student: splitViews(studentLogits, globalViews.length + config.localCrops),
        studentTemperature: config.studentTemperature,
      });
      const entropy = teacherEntropy(probabilities);
      return {
        loss,
        terms: { dino: loss, ...distillationMonitors(globals, { loss, entropy }) },
        observed: { "centre.class": nextCentre(centre, tf.mean(teacherLogits, 0, true), config) },
      };
    },
  };
}
