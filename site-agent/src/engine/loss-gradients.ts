import { ConsiliumError } from "@consilium/shared/errors.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import { withoutPrefix, withPrefix } from "../ssl/ema.js";
import { accumulate } from "./accumulate.js";
import { mapTensors } from "./named-tensors.js";
import { type StepTensors, seenByMethod, type TrainStepOptions } from "./step-inputs.js";

export interface LossGradients {
  readonly loss: Scalar;
  readonly terms: NamedTensors;
  readonly observed: NamedTensors;
  /** By parameter; those that the loss does not depend on are missing. To be multiplied with `unscale`. */
  readonly gradients: NamedTensors;
  /** Absent: one. */
  readonly unscale: Tensor | undefined;
}

const prefixes = { term: "term/", observed: "observed/", gradient: "gradient/" } as const;

/** Differentiates a method's loss by every parameter, over one part of the batch after the other. */
export function lossGradients(options: TrainStepOptions, tensors: StepTensors): LossGradients {
  const { microBatches = 1 } = options;
  const sums = accumulate(microBatches, tensors.images, (part) => differentiate(options, { ...tensors, images: part }));
  const mean = (sum: Tensor): Tensor => (microBatches === 1 ? sum : tf.mul(sum, 1 / microBatches));
  const means = (prefix: string): NamedTensors =>
    Object.fromEntries(Object.entries(withoutPrefix(sums, prefix)).map(([name, sum]) => [name, mean(sum)]));
  return {
    loss: mean(sums["loss"]!).asScalar(),
    terms: means(prefixes.term),
    observed: means(prefixes.observed),
    gradients: withoutPrefix(sums, prefixes.gradient),
    unscale: unscaleOf(microBatches, tensors.lossScale),
  };
}

function unscaleOf(microBatches: number, lossScale: Scalar | undefined): Tensor | undefined {
  if (lossScale !== undefined) return tf.div(1 / microBatches, lossScale);
  return microBatches === 1 ? undefined : tf.scalar(1 / microBatches);
}

export const gradientPrefix: string = prefixes.gradient;

/** "loss", "term/…", "observed/…" and "gradient/…", the last times the loss scale. */
export function differentiate({ method }: Pick<TrainStepOptions, "method">, tensors: StepTensors): NamedTensors {
  const { parameters, images, shared, methodScalars, carried, lossScale } = tensors;
  const batch = { ...seenByMethod(method, images), ...shared, ...methodScalars };
  let results: NamedTensors = {};
  const { grads } = tf.engine().gradients(
    () => {
      const { loss, terms, observed = {} } = method.loss(parameters, batch, carried);
      const named = { loss, ...withPrefix(terms, prefixes.term), ...withPrefix<Tensor>(observed, prefixes.observed) };
      // Everything else that is made in here is disposed.
      results = mapTensors(named, (tensor) => tf.keep(tensor.clone()));
      return lossScale === undefined ? loss : tf.mul(loss, lossScale);
    },
    Object.values(parameters),
    undefined,
    true,
  );
  const found: readonly (Tensor | undefined)[] = grads;
  if (found.every((gradient) => gradient === undefined)) {
    throw new ConsiliumError("internal", `the loss of method ${method.name} depends on none of its parameters`);
  }
  const gradients: Record<string, Tensor> = {};
  Object.keys(parameters).forEach((name, index) => {
    const gradient = found[index];
    if (gradient !== undefined) gradients[name] = gradient;
  });
  return { ...mapTensors(results, released), ...withPrefix(gradients, prefixes.gradient) };
}

/** The same values, disposed with whatever runs the step. */
function released(kept: Tensor): Tensor {
  const tensor = kept.clone();
  kept.dispose();
  return tensor;
}
