import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import { moment1Input, moment2Input, parameterInput } from "./train-step.js";

/** Everything that one training step carries to the next, in layout order. Plain data: write it out to resume later. */
export interface TrainingState {
  readonly parameters: Float32Array;
  readonly moment1: Float32Array;
  readonly moment2: Float32Array;
  /** Updates since the moments were zero. */
  readonly optimizerStep: number;
}

/** A state before its first step: moments of zero. */
export function freshState(parameters: Float32Array): TrainingState {
  const { length } = parameters;
  return { parameters, moment1: new Float32Array(length), moment2: new Float32Array(length), optimizerStep: 0 };
}

/** The state's vectors as a training step's tensors: views, not copies. */
export function stateTensors(layout: ParameterLayout, state: TrainingState): HostTensors {
  const tensors: Record<string, HostTensor> = {};
  for (const { name, shape, offset, size } of layout.parameters) {
    const view = (vector: Float32Array): HostTensor => ({ shape, data: vector.subarray(offset, offset + size) });
    tensors[parameterInput(name)] = view(state.parameters);
    tensors[moment1Input(name)] = view(state.moment1);
    tensors[moment2Input(name)] = view(state.moment2);
  }
  return tensors;
}
