import type { OptimizerConfig } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import type { NamedTensors, TensorSpec, TensorSpecs } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import type { SslMethod } from "../ssl/method.js";
import { type AdamWScalars, type AdamWState, adamw } from "./adamw.js";
import type { Program } from "./program.js";

export interface TrainStepOptions {
  readonly method: SslMethod;
  readonly layout: ParameterLayout;
  readonly optimizer: Pick<OptimizerConfig, "beta1" | "beta2" | "gradientClip">;
  readonly batchSize: number;
}

export const parameterInput = (name: string): string => `parameter/${name}`;
export const moment1Input = (name: string): string => `moment1/${name}`;
export const moment2Input = (name: string): string => `moment2/${name}`;

const scalar: TensorSpec = { shape: [], dtype: "float32" };

/**
 * One training step: loss, gradients and AdamW in one program.
 *
 * Inputs: for every tensor of the layout "parameter/…", "moment1/…", "moment2/…"; the method's views and extra inputs
 * under their own names; the scalars "learningRate", "weightDecay" and "step" (1 for the first).
 * Outputs: the tensors under the same names; "loss"; "gradientNorm" over all tensors before clipping; "finite"; and
 * "term/…" for each of the method's terms. When the loss or a gradient is not finite, "finite" is 0 and the tensors
 * are the old ones. A tensor that the loss does not depend on stays as it is.
 */
export function trainStepProgram(options: TrainStepOptions): Program {
  const { method, layout, batchSize } = options;
  return {
    name: `${method.name} step, batch ${batchSize}`,
    inputs: {
      ...stateInputs(layout),
      ...batchInputs(options),
      learningRate: scalar,
      weightDecay: scalar,
      step: scalar,
    },
    build: (inputs) => buildStep(options, inputs),
  };
}

function stateInputs({ parameters }: ParameterLayout): TensorSpecs {
  const specs: Record<string, TensorSpec> = {};
  for (const prefix of [parameterInput, moment1Input, moment2Input]) {
    for (const { name, shape } of parameters) specs[prefix(name)] = { shape, dtype: "float32" };
  }
  return specs;
}

function batchInputs({ method, batchSize }: TrainStepOptions): TensorSpecs {
  const { views, imageSize } = method.viewPlan;
  const view: TensorSpec = { shape: [batchSize, imageSize, imageSize, 3], dtype: "float32" };
  return { ...Object.fromEntries(views.map((name) => [name, view])), ...method.extraInputs(batchSize) };
}

function buildStep(options: TrainStepOptions, inputs: NamedTensors): NamedTensors {
  const { layout, optimizer } = options;
  const { loss, terms, gradients } = differentiate(options, inputs);
  const squares = gradients.map((gradient) => gradient && squaredNorm(gradient));
  const total: Scalar = tf.addN(squares.filter((square) => square !== undefined));
  // An infinite or undefined element shows in the sum.
  const finite: Scalar = tf.logicalAnd(tf.isFinite(loss), tf.isFinite(total));
  const applied: Scalar = tf.cast(finite, "float32");
  const step = adamw({ ...stepScalars(inputs), applied }, optimizer);
  const outputs: Record<string, Tensor> = { loss, finite: applied, gradientNorm: tf.sqrt(total) };
  for (const [name, term] of Object.entries(terms)) outputs[`term/${name}`] = term;
  layout.parameters.forEach(({ name }, index) => {
    const before = stateOf(inputs, name);
    const [gradient, square] = [gradients[index], squares[index]];
    const clipped = gradient && square && clip(gradient, square, optimizer.gradientClip);
    const after = clipped === undefined ? before : step(before, tf.where(finite, clipped, tf.zerosLike(clipped)));
    outputs[parameterInput(name)] = after.parameter;
    outputs[moment1Input(name)] = after.moment1;
    outputs[moment2Input(name)] = after.moment2;
  });
  return outputs;
}

function stateOf(inputs: NamedTensors, name: string): AdamWState {
  return {
    parameter: tensorIn(inputs, parameterInput(name)),
    moment1: tensorIn(inputs, moment1Input(name)),
    moment2: tensorIn(inputs, moment2Input(name)),
  };
}

function stepScalars(inputs: NamedTensors): Omit<AdamWScalars, "applied"> {
  const scalarIn = (name: string): Scalar => tensorIn(inputs, name).asScalar();
  return { learningRate: scalarIn("learningRate"), weightDecay: scalarIn("weightDecay"), step: scalarIn("step") };
}

function tensorIn(tensors: NamedTensors, name: string): Tensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new ConsiliumError("internal", `the training step has no tensor "${name}"`);
  return tensor;
}

function squaredNorm(x: Tensor): Scalar {
  return tf.sum(tf.square(x));
}

/** Each tensor on its own, as DINO clips: scaled by limit / (norm + 1e-6) where that is below one. */
function clip(gradient: Tensor, square: Scalar, limit: number | undefined): Tensor {
  if (limit === undefined) return gradient;
  return tf.mul(gradient, tf.minimum(tf.div(limit, tf.add(tf.sqrt(square), 1e-6)), 1));
}

interface Differentiated {
  readonly loss: Scalar;
  readonly terms: NamedTensors;
  /** In layout order; undefined where the loss does not depend on the tensor. */
  readonly gradients: readonly (Tensor | undefined)[];
}

function differentiate(options: TrainStepOptions, inputs: NamedTensors): Differentiated {
  const { method, layout } = options;
  const parameters = pick(
    inputs,
    layout.parameters.map(({ name }) => [name, parameterInput(name)]),
  );
  const batch = pick(
    inputs,
    Object.keys(batchInputs(options)).map((name) => [name, name]),
  );
  let terms: NamedTensors = {};
  const { value, grads } = tf.engine().gradients(
    () => {
      const result = method.loss(parameters, batch);
      // Everything else that is made in here is disposed.
      terms = Object.fromEntries(Object.entries(result.terms).map(([name, term]) => [name, tf.keep(term)]));
      return result.loss;
    },
    Object.values(parameters),
    undefined,
    true,
  );
  const gradients: readonly (Tensor | undefined)[] = grads;
  if (gradients.every((gradient) => gradient === undefined)) {
    throw new ConsiliumError("internal", `the loss of method ${method.name} depends on none of its parameters`);
  }
  return { loss: value.asScalar(), terms, gradients };
}

function pick(tensors: NamedTensors, names: readonly (readonly [as: string, from: string])[]): NamedTensors {
  return Object.fromEntries(names.map(([as, from]) => [as, tensorIn(tensors, from)]));
}
