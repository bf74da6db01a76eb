import { ConsiliumError } from "@consilium/shared/errors.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import type { StepEnd } from "../ssl/method.js";
import { lossGradients } from "./loss-gradients.js";
import type { Program } from "./program.js";
import {
  carriedInput,
  parameterInput,
  stateInputs,
  stepInputs,
  stepTensors,
  type TrainStepOptions,
  tensorIn,
} from "./step-inputs.js";
import { updatedParameters } from "./updated-parameters.js";

export type { TrainStepOptions } from "./step-inputs.js";

/**
 * One training step in one program: loss, gradients, clipping, the optimiser's update, and what the method does to its
 * carried state.
 *
 * Inputs: for every tensor of the layout "parameter/…" and, for each slot of the optimiser, "<slot>/…"; "carried/…" for
 * the method's own state; under their own names the method's views, uint8 [batchSize, imageSize, imageSize, 3], which it
 * sees normalised, its extra inputs and its scalars; the scalars "learningRate", "weightDecay" and, for AdamW, "step" (1
 * for the first); with `lossScaling` "lossScale".
 * Outputs: the state under the same names; "loss"; "gradientNorm" over all tensors before clipping; "finite", 1 or 0;
 * and "term/…" for each of the method's terms. After a loss or a gradient that is not finite, the state outputs are
 * worthless, or with guard "graph" the old state bit by bit. A tensor that the loss does not depend on stays as it is.
 * @throws ConsiliumError "config-invalid" for micro-batches that the method or the batch size does not allow
 */
export function trainStepProgram(options: TrainStepOptions): Program {
  const { method, batchSize } = options;
  checkMicroBatches(options);
  return {
    name: `${method.name} step, batch ${batchSize}`,
    inputs: stepInputs(options),
    build: (inputs) => buildStep(options, inputs),
  };
}

function checkMicroBatches({ method, batchSize, microBatches = 1 }: TrainStepOptions): void {
  const refuse = (reason: string, remedy: string): never => {
    throw new ConsiliumError("config-invalid", `${microBatches} micro-batches: ${reason}`, { remedy });
  };
  if (microBatches > 1 && !method.separable) {
    refuse(`${method.name} compares the images of a batch with each other`, "set training.microBatches to 1");
  }
  if (batchSize % microBatches !== 0) {
    refuse(`a batch of ${batchSize} has no such equal parts`, "let training.microBatches divide training.batchSize");
  }
}

function buildStep(options: TrainStepOptions, inputs: NamedTensors): NamedTensors {
  const tensors = stepTensors(options, inputs);
  const differentiated = lossGradients(options, tensors);
  const { loss, terms, observed, unscale } = differentiated;
  const { state, squareSum } = updatedParameters(options, inputs, differentiated);
  const after = stateAfter(options, { state, observed, carried: tensors.carried, scalars: tensors.methodScalars });
  const norm = tf.sqrt(squareSum);
  // An infinite or undefined element shows in the sum.
  const finite: Scalar = tf.logicalAnd(tf.isFinite(loss), tf.isFinite(squareSum));
  const guarded = (name: string): Tensor =>
    options.guard === "graph" ? tf.where(finite, tensorIn(after, name), tensorIn(inputs, name)) : tensorIn(after, name);
  return {
    loss,
    finite: tf.cast(finite, "float32"),
    gradientNorm: unscale === undefined ? norm : tf.mul(norm, unscale),
    ...renamed(terms, (name, term) => [`term/${name}`, term]),
    ...Object.fromEntries(Object.keys(stateInputs(options)).map((name) => [name, guarded(name)])),
  };
}

/** The optimiser's outputs, and the method's carried state after them, under their input names. */
export function stateAfter(
  { method, layout }: Pick<TrainStepOptions, "method" | "layout">,
  { state, ...end }: Omit<StepEnd, "parameters"> & { readonly state: NamedTensors },
): NamedTensors {
  const names = layout.parameters.map(({ name }) => name);
  const parameters = Object.fromEntries(names.map((name) => [name, tensorIn(state, parameterInput(name))]));
  const carried = method.carried?.afterStep({ ...end, parameters }) ?? {};
  return { ...state, ...renamed(carried, (name, tensor) => [carriedInput(name), tensor]) };
}

function renamed(tensors: NamedTensors, entryOf: (name: string, tensor: Tensor) => [string, Tensor]): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => entryOf(name, tensor)));
}
