import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import type { CompiledProgram } from "./program.js";
import { freshState, stateTensors, type TrainingState } from "./training-state.js";

export interface StepScalars {
  readonly learningRate: number;
  readonly weightDecay: number;
}

export interface StepOutcome {
  readonly loss: number;
  /** False: the loss or a gradient was not finite, and the state is what it was. */
  readonly finite: boolean;
  /** L2 norm over all gradients, before clipping. */
  readonly gradientNorm: number;
  readonly terms: Readonly<Record<string, number>>;
}

interface Side {
  state: TrainingState;
  readonly tensors: HostTensors;
}

/**
 * Takes steps with a compiled `trainStepProgram`. Two copies of the flat state take turns as input and output, so that
 * a step allocates nothing that grows with the model.
 */
export class Stepper {
  #current: Side;
  #next: Side;

  /** @param start is not written to */
  constructor(
    private readonly step: CompiledProgram,
    layout: ParameterLayout,
    start: TrainingState,
  ) {
    const side = (state: TrainingState): Side => ({ state, tensors: stateTensors(layout, state) });
    this.#current = side({
      parameters: start.parameters.slice(),
      moment1: start.moment1.slice(),
      moment2: start.moment2.slice(),
      optimizerStep: start.optimizerStep,
    });
    this.#next = side(freshState(new Float32Array(layout.dimension)));
  }

  /** The state after the last step. Its vectors are overwritten by the step after the next: copy what is to last. */
  get state(): TrainingState {
    return this.#current.state;
  }

  /** @param batch views and extra inputs by name */
  async take(batch: HostTensors, { learningRate, weightDecay }: StepScalars): Promise<StepOutcome> {
    const { optimizerStep } = this.#current.state;
    const inputs = {
      ...this.#current.tensors,
      ...batch,
      learningRate: scalarTensor(learningRate),
      weightDecay: scalarTensor(weightDecay),
      step: scalarTensor(optimizerStep + 1),
    };
    const outcome = outcomeOf(await this.step.run(inputs, this.#next.tensors));
    if (!outcome.finite) return outcome;
    [this.#current, this.#next] = [this.#next, this.#current];
    this.#current.state = { ...this.#current.state, optimizerStep: optimizerStep + 1 };
    return outcome;
  }
}

function outcomeOf(outputs: HostTensors): StepOutcome {
  const terms = Object.keys(outputs).filter((name) => name.startsWith("term/"));
  return {
    loss: scalarOf(outputs, "loss"),
    finite: scalarOf(outputs, "finite") === 1,
    gradientNorm: scalarOf(outputs, "gradientNorm"),
    terms: Object.fromEntries(terms.map((name) => [name.slice("term/".length), scalarOf(outputs, name)])),
  };
}

function scalarTensor(value: number): HostTensor {
  return { shape: [], data: Float32Array.of(value) };
}

function scalarOf(outputs: HostTensors, name: string): number {
  const value = outputs[name]?.data[0];
  if (value === undefined) throw new ConsiliumError("internal", `the training step has no output "${name}"`);
  return value;
}
