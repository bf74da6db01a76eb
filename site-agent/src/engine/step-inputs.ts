import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { normalised } from "../model/normalise.js";
import type { NamedTensors, TensorSpec, TensorSpecs } from "../model/tensors.js";
import type { Scalar, Tensor } from "../model/tf.js";
import type { SslMethod } from "../ssl/method.js";
import { type StepOptimizer, updateRule } from "./optimizer.js";

export interface TrainStepOptions {
  readonly method: SslMethod;
  readonly layout: ParameterLayout;
  readonly optimizer: StepOptimizer;
  /** Factor on the learning rate of a parameter; absent: one for all. */
  readonly rateOf?: (name: string) => number;
  readonly batchSize: number;
  /** Equal parts of the batch that go through the model one after the other; absent: 1. */
  readonly microBatches?: number;
  /**
   * Who keeps the old state after a step that is not finite. "host", the default: whoever runs the program, by not
   * taking over the outputs. "graph": the program hands the old state back, at the cost of one pass over it.
   */
  readonly guard?: "host" | "graph";
  /** With an input "lossScale" that the loss is multiplied with while it is differentiated. */
  readonly lossScaling?: boolean;
}

export const parameterInput = (name: string): string => `parameter/${name}`;
export const carriedInput = (name: string): string => `carried/${name}`;
/** @param slot one of the update rule's, such as "moment1" */
export const slotInput = (slot: string, name: string): string => `${slot}/${name}`;

const scalar: TensorSpec = { shape: [], dtype: "float32" };

/** Every input of a step program, the state first. */
export function stepInputs(options: TrainStepOptions): TensorSpecs {
  return { ...stateInputs(options), ...batchInputs(options), ...stepScalars(options) };
}

export function stateInputs({ layout, method, optimizer }: Pick<TrainStepOptions, "layout" | "method" | "optimizer">) {
  const specs: Record<string, TensorSpec> = {};
  const names = [parameterInput, ...updateRule(optimizer).slots.map((slot) => (name: string) => slotInput(slot, name))];
  for (const inputOf of names) {
    for (const { name, shape } of layout.parameters) specs[inputOf(name)] = { shape, dtype: "float32" };
  }
  for (const [name, spec] of Object.entries(method.carried?.specs ?? {})) specs[carriedInput(name)] = spec;
  return specs;
}

function batchInputs({ method, batchSize }: TrainStepOptions): TensorSpecs {
  const views = method.views.map(({ name, size, channels }): [string, TensorSpec] => [
    name,
    { shape: [batchSize, size, size, channels], dtype: "uint8" },
  ]);
  return { ...Object.fromEntries(views), ...method.extraInputs(batchSize) };
}

/** What changes from step to step: rates, the method's own scalars, the loss scale. */
export function stepScalars({ method, optimizer, lossScaling = false }: TrainStepOptions): TensorSpecs {
  const own = Object.keys(method.scalars ?? {});
  const names = [...updateRule(optimizer).scalars, ...own, ...(lossScaling ? ["lossScale"] : [])];
  return Object.fromEntries(names.map((name) => [name, scalar]));
}

/** A step's inputs in the parts that its stages know, by their own names. */
export interface StepTensors {
  readonly parameters: NamedTensors;
  readonly carried: NamedTensors;
  /** What has a row, or several, for every image. */
  readonly images: NamedTensors;
  /** Views among the images: as they came, not normalised. */
  readonly methodScalars: NamedTensors;
  /** Extra inputs without an axis, the same for every image. */
  readonly shared: NamedTensors;
  readonly lossScale: Scalar | undefined;
}

export function stepTensors(options: TrainStepOptions, inputs: NamedTensors): StepTensors {
  const { layout, method, lossScaling = false } = options;
  const pick = (names: readonly string[], inputOf = (name: string) => name): NamedTensors =>
    Object.fromEntries(names.map((name) => [name, tensorIn(inputs, inputOf(name))]));
  const batch = Object.entries(batchInputs(options));
  const named = (wanted: (spec: TensorSpec) => boolean) =>
    batch.filter(([, spec]) => wanted(spec)).map(([name]) => name);
  return {
    parameters: pick(
      layout.parameters.map(({ name }) => name),
      parameterInput,
    ),
    carried: pick(Object.keys(method.carried?.specs ?? {}), carriedInput),
    images: pick(named(({ shape }) => shape.length > 0)),
    shared: pick(named(({ shape }) => shape.length === 0)),
    methodScalars: pick(Object.keys(method.scalars ?? {})),
    lossScale: lossScaling ? tensorIn(inputs, "lossScale").asScalar() : undefined,
  };
}

/** Pixels normalised, everything else as it is. */
export function seenByMethod({ views }: Pick<SslMethod, "views">, batch: NamedTensors): NamedTensors {
  const images = new Set(views.filter(({ kind }) => kind === "pixels").map(({ name }) => name));
  const seen = (name: string, tensor: Tensor): Tensor => (images.has(name) ? normalised(tensor) : tensor);
  return Object.fromEntries(Object.entries(batch).map(([name, tensor]) => [name, seen(name, tensor)]));
}

export function tensorIn(tensors: NamedTensors, name: string): Tensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new ConsiliumError("internal", `the training step has no tensor "${name}"`);
  return tensor;
}
