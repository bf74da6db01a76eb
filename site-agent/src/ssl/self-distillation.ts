import type { MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import type { Random } from "@consilium/shared/random.js";
import { globalViews, localViews, viewPlan } from "../data/view-plan.js";
import { parameterOf } from "../model/layers.js";
import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";
import { type Scalar, type Tensor, type Tensor2D, type Tensor3D, tf } from "../model/tf.js";
import { classTokens } from "../model/tokens.js";
import { encode } from "../model/vit.js";
import { branchScaleSpec, branchScalesOf, drawBranchScales } from "./branch-scales.js";
import { carriedState, teacherMomentum } from "./carried.js";
import { movingAverage } from "./ema.js";
import type { MethodContext, SslMethod } from "./method.js";
import { linearWarmup, momentumSchedule, stepAfter, stepsSince } from "./method-schedules.js";
import { effectiveRank, featureSpread } from "./monitors.js";
import { lastLayer } from "./prototype-head.js";

/** What DINO, iBOT and DINOv2 have in common: crops, teacher, centre, temperatures. */

export type DistillationConfig = MethodOf<"dino"> | MethodOf<"ibot"> | MethodOf<"dinov2">;

const scalarNames = { temperature: "teacherTemperature", patchTemperature: "patchTemperature", free: "lastLayerFree" };

type Frame = Omit<SslMethod, "loss" | "separable" | "coupling">;

/** Everything of the method but its loss. */
export function distillationFrame(model: VitConfig, config: DistillationConfig, context: MethodContext): Frame {
  const { teacherTemperature: first, finalTeacherTemperature: final = first, temperatureWarmupShare: share } = config;
  const how = config.name === "dinov2" ? "rate" : "skip";
  return {
    name: config.name,
    views: viewPlan({ model, method: config }),
    carried: carriedState({ model, method: config, ...context }),
    scalars: {
      [teacherMomentum]: momentumSchedule(config, context),
      [scalarNames.temperature]: linearWarmup({ first, final, share }, context),
      ...patchTemperature(config, context),
      [scalarNames.free]: (how === "rate" ? stepAfter : stepsSince)(config.freezeLastLayerShare, context),
    },
    heldBack: { parameters: lastLayer, scalar: scalarNames.free, how },
    extraInputs: (batchSize) => branchInputs(batchSize, model, config),
    drawExtraInputs: (batchSize, random) => drawBranches(batchSize, { model, config }, random),
  };
}

function patchTemperature(config: DistillationConfig, context: MethodContext): SslMethod["scalars"] {
  if (config.name === "dino") return {};
  const { patchTeacherTemperature: first, finalPatchTeacherTemperature: final, temperatureWarmupShare: share } = config;
  return { [scalarNames.patchTemperature]: linearWarmup({ first, final, share }, context) };
}

/** Stochastic depth of the student's crops, where the model has it. */
function branchInputs(batch: number, model: VitConfig, { localCrops }: DistillationConfig): TensorSpecs {
  if ((model.dropPath ?? 0) === 0) return {};
  return {
    globalBranches: branchScaleSpec(model, batch, globalViews.length),
    ...(localCrops > 0 ? { localBranches: branchScaleSpec(model, batch, localCrops) } : {}),
  };
}

function drawBranches(
  batch: number,
  { model, config }: { model: VitConfig; config: DistillationConfig },
  random: Random,
): HostTensors {
  const specs = Object.entries(branchInputs(batch, model, config));
  return Object.fromEntries(specs.map(([name, spec]) => [name, drawBranchScales(model, spec, random)]));
}

export interface StudentAndTeacher {
  readonly model: VitConfig;
  readonly config: DistillationConfig;
  readonly parameters: NamedTensors;
  readonly batch: NamedTensors;
  /** The teacher's tensors under the student's names. */
  readonly teacher: NamedTensors;
}

function stacked(batch: NamedTensors, names: readonly string[]): Tensor {
  return tf.concat(
    names.map((name) => parameterOf(batch, name)),
    0,
  );
}

/** The teacher's tokens of the global crops, one view after the other: [2 × batch, tokens, width]. */
export function teacherTokens({ model, batch, teacher }: StudentAndTeacher): Tensor3D {
  return encode({ model, parameters: teacher, images: stacked(batch, globalViews) });
}

/** The student's: with mask tokens where `hidden` [2 × batch, patches] is one. */
export function studentTokens({ model, parameters, batch }: StudentAndTeacher, hidden?: Tensor): Tensor3D {
  return encode({
    ...{ model, parameters, images: stacked(batch, globalViews) },
    ...(hidden === undefined ? {} : { hidden }),
    ...branchScalesOf(batch, "globalBranches"),
  });
}

/** The student's class tokens of the small crops, one view after the other: [localCrops × batch, width]. */
export function localClassTokens({ model, config, parameters, batch }: StudentAndTeacher): Tensor2D | undefined {
  if (config.localCrops === 0) return undefined;
  const images = stacked(batch, localViews(config));
  return classTokens(encode({ model, parameters, images, ...branchScalesOf(batch, "localBranches") }));
}

export function temperatureOf(batch: NamedTensors): Scalar {
  return parameterOf(batch, scalarNames.temperature) as Scalar;
}

export function patchTemperatureOf(batch: NamedTensors): Scalar {
  return parameterOf(batch, scalarNames.patchTemperature) as Scalar;
}

/** The centre after a batch: it follows the mean of the teacher's logits [rows, K]. */
export function nextCentre(centre: Tensor, mean: Tensor, { centreMomentum }: DistillationConfig): Tensor {
  return movingAverage(centre, mean, centreMomentum);
}

/** Whether a run's student and teacher still tell images apart. */
export function distillationMonitors(classRows: Tensor2D, { loss, entropy }: { loss: Scalar; entropy: Scalar }) {
  const oneView = tf.slice(classRows, [0, 0], [classRows.shape[0] / globalViews.length, classRows.shape[1]]);
  return {
    featureSpread: featureSpread(oneView),
    effectiveRank: effectiveRank(oneView),
    teacherEntropy: entropy,
    teacherKl: tf.sub(loss, entropy) as Scalar,
  };
}
