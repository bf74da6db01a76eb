import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { patchCount } from "@consilium/shared/params/architecture.js";
import { globalViews } from "../data/view-plan.js";
import { parameterOf } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, type Tensor2D, type Tensor3D, tf } from "../model/tf.js";
import { classTokens, patchTokens } from "../model/tokens.js";
import { teacherOf } from "./carried.js";
import { centredProbabilities, crossViewLoss, hiddenPatchLoss, splitViews, viewMajor } from "./distillation-loss.js";
import {
  drawHiddenPatches,
  type HiddenRows,
  hiddenPatchInputs,
  hiddenRows,
  mostHidden,
  tokensAt,
} from "./hidden-patches.js";
import { koleo } from "./koleo.js";
import type { MethodContext, SslMethod } from "./method.js";
import { teacherEntropy } from "./monitors.js";
import { prototypeLogits } from "./prototype-head.js";
import {
  distillationFrame,
  distillationMonitors,
  localClassTokens,
  nextCentre,
  patchTemperatureOf,
  type StudentAndTeacher,
  studentTokens,
  teacherTokens,
  temperatureOf,
} from "./self-distillation.js";
import { sinkhornKnopp } from "./sinkhorn-knopp.js";

const head = "dino_head";

type Config = MethodOf<"dinov2">;

/** The teacher's side of a step. */
interface Targets {
  /** [2 × batch, K] */
  readonly probabilities: Tensor2D;
  /** [rows, K] */
  readonly patchProbabilities: Tensor2D;
  /** The centres after this batch; none with Sinkhorn-Knopp. */
  readonly observed: NamedTensors;
}

/** Mean of the rows that are present: [rows, K] → [1, K]. */
function meanOfPresent(logits: Tensor2D, { present }: HiddenRows): Tensor {
  const total = tf.matMul(tf.reshape(present, [1, -1]) as Tensor2D, logits);
  return tf.div(total, tf.add(tf.sum(present), 1e-12));
}

function targets(both: StudentAndTeacher, config: Config, carried: NamedTensors, hidden: HiddenRows): Targets {
  const { model, batch, teacher } = both;
  const tokens = teacherTokens(both);
  const logits = prototypeLogits(classTokens(tokens), teacher, head);
  const patchRows = tokensAt(patchTokens(tokens, model.registers), hidden);
  const patchLogits = prototypeLogits(patchRows, teacher, patchHead(config));
  if (config.teacherNormalization === "sinkhorn-knopp") {
    return {
      probabilities: sinkhornKnopp(logits, temperatureOf(batch)),
      patchProbabilities: sinkhornKnopp(patchLogits, patchTemperatureOf(batch), hidden.present),
      observed: {},
    };
  }
  const centre = parameterOf(carried, "centre.class");
  const patchCentre = parameterOf(carried, "centre.patch");
  return {
    probabilities: centredProbabilities(logits, centre, temperatureOf(batch)),
    patchProbabilities: centredProbabilities(patchLogits, patchCentre, patchTemperatureOf(batch)),
    observed: {
      "centre.class": nextCentre(centre, tf.mean(logits, 0, true), config),
      "centre.patch": nextCentre(patchCentre, meanOfPresent(patchLogits, hidden), config),
    },
  };
}

function patchHead({ sharedHead }: Config): string {
  return sharedHead ? head : "ibot_head";
}

/** KoLeo of each global view by itself, summed: class rows [2 × batch, width]. */
function spreadLoss(classRows: Tensor2D): Scalar {
  return tf.addN(splitViews(classRows, globalViews.length).map(koleo)) as Scalar;
}

/** The student's side: logits of all crops' class tokens and of the hidden patches. */
function predictions(both: StudentAndTeacher, config: Config, hidden: HiddenRows) {
  const { model, parameters, batch } = both;
  const tokens: Tensor3D = studentTokens(both, viewMajor(parameterOf(batch, "hidden")));
  const globals = classTokens(tokens);
  const locals = localClassTokens(both);
  const classRows = locals === undefined ? globals : tf.concat([globals, locals], 0);
  const patchRows = tokensAt(patchTokens(tokens, model.registers), hidden);
  return {
    globals,
    logits: prototypeLogits(classRows, parameters, head),
    patchLogits: prototypeLogits(patchRows, parameters, patchHead(config)),
  };
}

/**
 * DINOv2 (Oquab et al. 2023): DINO on class tokens, iBOT on the hidden patches of half of the large crops, and KoLeo, which
 * spreads the class tokens before the head. Prototypes have trained lengths.
 * @throws ConsiliumError "config-invalid" when the mask ratio hides no patch
 */
export function dinov2(model: VitConfig, config: Config, context: MethodContext): SslMethod {
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
      const hidden = hiddenRows(batch, patchCount(model));
      const { probabilities, patchProbabilities, observed } = targets(both, config, carried, hidden);
      const { globals, logits, patchLogits } = predictions(both, config, hidden);
      const { studentTemperature } = config;
      const dino = crossViewLoss({
        teacher: splitViews(probabilities, globalViews.length),
        student: splitViews(logits, globalViews.length + config.localCrops),
        studentTemperature,
      });
      const ibot = hiddenPatchLoss({
        ...{ teacher: patchProbabilities, student: patchLogits, studentTemperature },
        ...{ weights: hidden.weights, crops: globals.shape[0] },
      });
      const spread = spreadLoss(globals);
      const entropy = teacherEntropy(probabilities);
      const weighted = tf.add(tf.mul(ibot, config.patchLossWeight), tf.mul(spread, config.koleoWeight));
      return {
        loss: tf.add(dino, weighted),
        terms: { dino, ibot, koleo: spread, ...distillationMonitors(globals, { loss: dino, entropy }) },
        observed,
      };
    },
  };
}
