import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import { afterStep, canLower, type LossScale } from "./loss-scale.js";
import type { CompiledProgram, HeldState } from "./program.js";
import { type StateShape, stateFrom, stateTensors, type TrainingState } from "./training-state.js";

/** The optimiser's rates, and the method's own scalars. */
export interface StepScalars extends Readonly<Record<string, number>> {
  readonly learningRate: number;
  readonly weightDecay: number;
}

export interface StepOutcome {
  readonly loss: number;
  /** False: the loss or a gradient was not finite, and the state is what it was. */
  readonly finite: boolean;
  /** The loss scale was too high for this step, and is lower for the next. */
  readonly scaleLowered: boolean;
  /** L2 norm over all gradients, before clipping. */
  readonly gradientNorm: number;
  readonly terms: Readonly<Record<string, number>>;
}

type Progress = Pick<TrainingState, "optimizerStep" | "lossScale">;

/** Takes steps with a compiled `trainStepProgram`. The state stays where the program runs until it is asked for. */
export class Stepper {
  readonly #held: HeldState;
  readonly #shape: StateShape;
  #progress: Progress;

  private constructor(held: HeldState, shape: StateShape, progress: Progress) {
    this.#held = held;
    this.#shape = shape;
    this.#progress = progress;
  }

  /**
   * @param shape as the program was made with
   * @param state copied
   */
  static async start(step: CompiledProgram, shape: StateShape, state: TrainingState): Promise<Stepper> {
    return new Stepper(await step.hold(stateTensors(shape, state)), shape, progressOf(state));
  }

  /** Updates since the optimiser's slots were zero. */
  get optimizerStep(): number {
    return this.#progress.optimizerStep;
  }

  /** The state after the last step; a copy, which on some devices takes as long as a step. */
  async state(): Promise<TrainingState> {
    return stateFrom(this.#shape, await this.#held.read(), this.#progress);
  }

  /** @param batch views and extra inputs by name */
  async take(batch: HostTensors, scalars: StepScalars): Promise<StepOutcome> {
    const { optimizerStep, lossScale } = this.#progress;
    const inputs = { ...batch, ...this.#scalarTensors(scalars) };
    const outputs = await this.#held.advance(inputs, wasFinite);
    const finite = wasFinite(outputs);
    this.#progress = {
      optimizerStep: optimizerStep + (finite ? 1 : 0),
      ...(lossScale === undefined ? {} : { lossScale: afterStep(lossScale, finite) }),
    };
    return outcomeOf(outputs, !finite && lossScale !== undefined && canLower(lossScale));
  }

  /** Gives up the state's memory on the device. */
  async release(): Promise<void> {
    await this.#held.release();
  }

  #scalarTensors(scalars: StepScalars): HostTensors {
    const { optimizerStep, lossScale } = this.#progress;
    const numbers: Readonly<Record<string, number>> = {
      ...scalars,
      step: optimizerStep + 1,
      ...(lossScale === undefined ? {} : { lossScale: lossScale.scale }),
    };
    return Object.fromEntries(Object.entries(numbers).map(([name, number]) => [name, scalarTensor(number)]));
  }
}

function progressOf({ optimizerStep, lossScale }: { optimizerStep: number; lossScale?: LossScale }): Progress {
  return { optimizerStep, ...(lossScale === undefined ? {} : { lossScale }) };
}

function wasFinite(outputs: HostTensors): boolean {
  return scalarOf(outputs, "finite") === 1;
}

function outcomeOf(outputs: HostTensors, scaleLowered: boolean): StepOutcome {
  const terms = Object.keys(outputs).filter((name) => name.startsWith("term/"));
  return {
    loss: scalarOf(outputs, "loss"),
    finite: wasFinite(outputs),
    scaleLowered,
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
