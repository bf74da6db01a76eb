import { ConsiliumError } from "@consilium/shared/errors.js";
import { type PlacedParameter, sizeOf } from "@consilium/shared/params/layout.js";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import { initialLossScale, type LossScale } from "./loss-scale.js";
import { updateRule } from "./optimizer.js";
import { carriedInput, parameterInput, slotInput, type TrainStepOptions } from "./step-inputs.js";

/** Everything that one training step carries to the next. Plain data: write it out to resume later. */
export interface TrainingState {
  /** [dimension], in layout order. */
  readonly parameters: Float32Array;
  /** The optimiser's own vectors by name, [dimension] each, in layout order. */
  readonly slots: Readonly<Record<string, Float32Array>>;
  /** The method's own tensors by name, row-major: a teacher, a centre. */
  readonly carried: Readonly<Record<string, Float32Array>>;
  /** Updates since the slots were zero. */
  readonly optimizerStep: number;
  /** Present where steps scale their loss. */
  readonly lossScale?: LossScale;
}

/** What decides which vectors a state has. */
export type StateShape = Pick<TrainStepOptions, "layout" | "method" | "optimizer" | "lossScaling">;

/** A state before its first step: slots of zero, carried tensors as the method starts them. */
export function freshState(shape: StateShape, parameters: Float32Array): TrainingState {
  const { layout, method, optimizer, lossScaling = false } = shape;
  const named = Object.fromEntries(
    layout.parameters.map((parameter) => [parameter.name, viewOf(parameters, parameter)]),
  );
  const started = method.carried?.start(named) ?? {};
  return {
    parameters,
    slots: Object.fromEntries(updateRule(optimizer).slots.map((slot) => [slot, new Float32Array(layout.dimension)])),
    carried: Object.fromEntries(
      Object.keys(method.carried?.specs ?? {}).map((name) => [name, floatsOf(started, name).slice()]),
    ),
    optimizerStep: 0,
    ...(lossScaling ? { lossScale: initialLossScale() } : {}),
  };
}

/** Names and lengths of a state's vectors, besides the parameters. */
export function stateVectors({
  layout,
  method,
  optimizer,
}: StateShape): Record<"slots" | "carried", [string, number][]> {
  return {
    slots: updateRule(optimizer).slots.map((slot) => [slot, layout.dimension]),
    carried: Object.entries(method.carried?.specs ?? {}).map(([name, spec]) => [name, sizeOf(spec.shape)]),
  };
}

/** The state's vectors as a training step's tensors: views, not copies. */
export function stateTensors({ layout, method }: StateShape, state: TrainingState): HostTensors {
  const tensors: Record<string, HostTensor> = {};
  for (const parameter of layout.parameters) {
    tensors[parameterInput(parameter.name)] = viewOf(state.parameters, parameter);
    for (const [slot, vector] of Object.entries(state.slots)) {
      tensors[slotInput(slot, parameter.name)] = viewOf(vector, parameter);
    }
  }
  for (const [name, { shape }] of Object.entries(method.carried?.specs ?? {})) {
    const data = state.carried[name];
    if (data === undefined) throw new ConsiliumError("internal", `the training state has no tensor "${name}"`);
    tensors[carriedInput(name)] = { shape, data };
  }
  return tensors;
}

/** The inverse, with vectors of its own. */
export function stateFrom(
  shape: StateShape,
  tensors: HostTensors,
  progress: Pick<TrainingState, "optimizerStep" | "lossScale">,
): TrainingState {
  const { layout } = shape;
  const { slots, carried } = stateVectors(shape);
  const flat = (inputOf: (name: string) => string): Float32Array => {
    const vector = new Float32Array(layout.dimension);
    for (const { name, offset } of layout.parameters) vector.set(floatsOf(tensors, inputOf(name)), offset);
    return vector;
  };
  return {
    parameters: flat(parameterInput),
    slots: Object.fromEntries(slots.map(([slot]) => [slot, flat((name) => slotInput(slot, name))])),
    carried: Object.fromEntries(carried.map(([name]) => [name, floatsOf(tensors, carriedInput(name)).slice()])),
    ...progress,
  };
}

function viewOf(vector: Float32Array, { shape, offset, size }: PlacedParameter): HostTensor {
  return { shape, data: vector.subarray(offset, offset + size) };
}

function floatsOf(tensors: HostTensors, name: string): Float32Array {
  const data = tensors[name]?.data;
  if (!(data instanceof Float32Array))
    throw new ConsiliumError("internal", `the training state lacks floats "${name}"`);
  return data;
}
