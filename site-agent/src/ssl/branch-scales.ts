import { isVit, type ModelConfig, type VitConfig } from "@consilium/shared/config/model-config.js";
import { architectureOf } from "@consilium/shared/params/architecture.js";
import type { Random } from "@consilium/shared/random.js";
import type { HostTensor, NamedTensors, TensorSpec } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { viewMajor } from "./distillation-loss.js";
import type { SslMethod } from "./method.js";

/**
 * Stochastic depth (Huang et al. 2016): with what probability each block's branches are left out. Rising linearly from
 * zero to `dropPath` over the depth, or the same everywhere.
 */
export function dropRates({ dropPath = 0, dropPathRule = "linear", ...model }: VitConfig): number[] {
  const { depth } = architectureOf(model);
  return Array.from({ length: depth }, (_, index) =>
    dropPathRule === "uniform" || depth === 1 ? dropPath : (dropPath * index) / (depth - 1),
  );
}

/** float32 [batch, views, 2 × depth]: see `EncoderInput.branchScales`. */
export function branchScaleSpec(model: VitConfig, batch: number, views: number): TensorSpec {
  return { shape: [batch, views, 2 * architectureOf(model).depth], dtype: "float32" };
}

/** Draws for every branch of every view: 0, or one over the probability of staying. */
export function drawBranchScales(model: VitConfig, { shape }: TensorSpec, random: Random): HostTensor {
  const rates = dropRates(model).flatMap((rate) => [rate, rate]);
  const [batch = 0, views = 0] = shape;
  const data = new Float32Array(batch * views * rates.length);
  for (let at = 0; at < data.length; at++) {
    const rate = rates[at % rates.length] ?? 0;
    data[at] = rate > 0 && random.uniform() < rate ? 0 : 1 / (1 - rate);
  }
  return { shape, data };
}

const branches = "branches";

/** The extra input of a method whose student sees `views` views of every image; none where no branch is left out. */
export function branchInputs(model: ModelConfig, views: number): Pick<SslMethod, "extraInputs" | "drawExtraInputs"> {
  if (!isVit(model) || (model.dropPath ?? 0) === 0) return { extraInputs: () => ({}), drawExtraInputs: () => ({}) };
  const specOf = (batch: number): TensorSpec => branchScaleSpec(model, batch, views);
  return {
    extraInputs: (batch) => ({ [branches]: specOf(batch) }),
    drawExtraInputs: (batch, random) => ({ [branches]: drawBranchScales(model, specOf(batch), random) }),
  };
}

/** What `encode` wants to know of the views, one after the other: [views × batch, 2 × depth], where there is such an input. */
export function branchScalesOf(batch: NamedTensors, name = branches): { branchScales?: Tensor } {
  const scales = batch[name];
  return scales === undefined ? {} : { branchScales: viewMajor(scales) };
}

/** The same for each view by itself, where the views do not go through a model together: [batch, 2 × depth]. */
export function branchScalesByView(batch: NamedTensors, views: number): readonly { branchScales?: Tensor }[] {
  const { branchScales } = branchScalesOf(batch);
  if (branchScales === undefined) return Array.from({ length: views }, () => ({}));
  return tf.split(branchScales, views, 0).map((scales) => ({ branchScales: scales }));
}
