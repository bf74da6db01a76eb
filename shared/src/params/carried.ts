import { teacherIsEncoder } from "../config/method-config.js";
import { isVit } from "../config/model-config.js";
import type { RunConfig } from "../config/run-config.js";
import { headParameters } from "./heads.js";
import type { ParameterSpec } from "./layout.js";
import { encoderParameters, type LayoutConfig } from "./parameters.js";
import { resnetStatistics } from "./resnet.js";

/**
 * What a step changes without gradients. Where it goes between rounds: "averaged": part of the checkpoint, travels like
 * a weight; "kept": stays at the site; "anew": begins every round from the checkpoint.
 */
export type CarriedKind = "teacher" | "centre" | "statistics";
export type Travel = "averaged" | "kept" | "anew";

export interface CarriedSpec extends ParameterSpec {
  readonly kind: CarriedKind;
  readonly travel: Travel;
}

export type CarriedConfig = LayoutConfig & {
  readonly aggregation: Pick<RunConfig["aggregation"], "teacher" | "batchStatistics">;
};

export const teacherPrefix = "teacher.";

/** Heads that the teacher has as well, by the beginning of their tensors' names. */
const teacherHeads = /^(?:dino_head|ibot_head|projector|contrastive)\./;

export function hasTeacher({ method }: Pick<LayoutConfig, "method">): boolean {
  return method.name === "byol" || method.name === "sit" || teacherIsEncoder(method);
}

function teacherTravel({ aggregation }: CarriedConfig): Travel {
  if (aggregation.teacher === "local") return "kept";
  return aggregation.teacher === "reset" ? "anew" : "averaged";
}

/** The teacher begins as the student: each tensor draws from its student's stream. */
function teacher(config: CarriedConfig): CarriedSpec[] {
  if (!hasTeacher(config)) return [];
  const encoder = encoderParameters(config).filter(({ name }) => name !== "mask_token");
  const heads = headParameters(config).filter(({ name }) => teacherHeads.test(name));
  const travel = teacherTravel(config);
  return [...encoder, ...heads].map((spec) => ({
    ...spec,
    name: `${teacherPrefix}${spec.name}`,
    beginsAs: spec.name,
    kind: "teacher",
    travel,
  }));
}

function centres({ method }: LayoutConfig): CarriedSpec[] {
  if (!teacherIsEncoder(method) || !("outputDim" in method)) return [];
  if (method.name === "dinov2" && method.teacherNormalization === "sinkhorn-knopp") return [];
  const names = method.name === "dino" ? ["centre.class"] : ["centre.class", "centre.patch"];
  return names.map((name) => ({
    name,
    shape: [1, method.outputDim],
    initializer: { kind: "zeros" },
    kind: "centre",
    travel: "averaged",
  }));
}

/** The student's running means and variances. The teacher normalises by its batch, as in the papers. */
function statistics({ model, aggregation }: CarriedConfig): CarriedSpec[] {
  if (isVit(model)) return [];
  const travel = aggregation.batchStatistics === "average" ? "averaged" : "kept";
  return resnetStatistics(model.architecture).map((spec) => ({ ...spec, kind: "statistics", travel }));
}

/** Everything that a run's method carries from step to step besides its parameters. */
export function carriedTensors(config: CarriedConfig): readonly CarriedSpec[] {
  return [...teacher(config), ...centres(config), ...statistics(config)];
}
