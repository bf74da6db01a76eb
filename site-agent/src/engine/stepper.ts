import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensor, HostTensors } from "../model/tensors.js";
import { afterSteps, canLower, type LossScale } from "./loss-scale.js";
import type { CompiledProgram, HeldState } from "./program.js";
import { oneStepPerCall, type StepCalls } from "./steps-per-call.js";
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

/** One step of a call. */
export interface StepRequest {
  /** Views and extra inputs by name. */
  readonly batch: HostTensors;
  readonly scalars: StepScalars;
}

/** Takes a run's training steps, one call after the other, and holds the state that they change. */
export interface StepTaker {
  /** How many steps `takeCall` takes. */
  readonly stepsPerCall: number;
  /** Updates since the optimiser's slots were zero. */
  readonly optimizerStep: number;
  /** One outcome for each step. */
  takeCall(steps: readonly StepRequest[]): Promise<StepOutcome[]>;
  /** The state after the last step; a copy, which on some devices takes as long as a step. */
  state(): Promise<TrainingState>;
  /** Gives up the state's memory on the device. */
  release(): Promise<void>;
}

type Progress = Pick<TrainingState, "optimizerStep" | "lossScale">;

/** Takes steps with a compiled `trainStepProgram`. The state stays where the program runs until it is asked for. */
export class Stepper implements StepTaker {
  readonly #held: HeldState;
  readonly #shape: StateShape;
  readonly #calls: StepCalls;
  #progress: Progress;

  private constructor(held: HeldState, { shape, calls }: { shape: StateShape; calls: StepCalls }, progress: Progress) {
    this.#held = held;
    this.#shape = shape;
    this.#calls = calls;
    this.#progress = progress;
  }

  /**
   * @param step the compiled program of `calls`
   * @param shape as the program was made with
   * @param state copied
   */
  static async start(
    step: CompiledProgram,
    shape: StateShape,
    state: TrainingState,
    calls: StepCalls = oneStepPerCall,
  ): Promise<Stepper> {
    return new Stepper(await step.hold(stateTensors(shape, state)), { shape, calls }, progressOf(state));
  }

  get stepsPerCall(): number {
    return this.#calls.count;
  }

  get optimizerStep(): number {
    return this.#progress.optimizerStep;
  }

  async state(): Promise<TrainingState> {
    return stateFrom(this.#shape, await this.#held.read(), this.#progress);
  }

  /** One step, where a call is one. */
  async take(batch: HostTensors, scalars: StepScalars): Promise<StepOutcome> {
    const [outcome] = await this.takeCall([{ batch, scalars }]);
    return outcome!;
  }

  /**
   * @param steps as many as a call takes. A step that fails inside a call leaves the bias correction of those after it one
   *   step ahead. All of a call's steps have one loss scale.
   */
  async takeCall(steps: readonly StepRequest[]): Promise<StepOutcome[]> {
    const inputs = steps.map(({ batch, scalars }, index) => ({ ...batch, ...this.#scalarTensors(scalars, index) }));
    const accepts = this.#calls.count === 1 ? wasFinite : () => true;
    const outputs = await this.#held.advance(this.#calls.join(inputs), accepts);
    const results = this.#calls.split(outputs);
    const { lossScale } = this.#progress;
    this.#note(results.map(wasFinite));
    return results.map((one) => {
      const finite = wasFinite(one);
      return outcomeOf(one, { finite, scaleLowered: !finite && lossScale !== undefined && canLower(lossScale) });
    });
  }

  #note(finite: readonly boolean[]): void {
    const { optimizerStep, lossScale } = this.#progress;
    this.#progress = {
      optimizerStep: optimizerStep + finite.filter((step) => step).length,
      ...(lossScale === undefined ? {} : { lossScale: afterSteps(lossScale, finite) }),
    };
  }

  async release(): Promise<void> {
    await this.#held.release();
  }

  #scalarTensors(scalars: StepScalars, index: number): HostTensors {
    const { optimizerStep, lossScale } = this.#progress;
    const numbers: Readonly<Record<string, number>> = {
      ...scalars,
      step: optimizerStep + 1 + index,
      ...(lossScale === undefined ? {} : { lossScale: lossScale.scale }),
    };
    return Object.fromEntries(Object.entries(numbers).map(([name, number]) => [name, scalarTensor(number)]));
  }
}

function progressOf({ optimizerStep, lossScale }: { optimizerStep: number; lossScale?: LossScale }): Progress {
  return { optimizerStep, ...(lossScale === undefined ? {} : { lossScale }) };
}

/** Some GPUs lose undefined numbers inside a graph, so that "finite" alone says too little. */
function wasFinite(outputs: HostTensors): boolean {
  const [loss, norm] = [scalarOf(outputs, "loss"), scalarOf(outputs, "gradientNorm")];
  return scalarOf(outputs, "finite") === 1 && Number.isFinite(loss) && Number.isFinite(norm);
}

function outcomeOf(outputs: HostTensors, judged: Pick<StepOutcome, "finite" | "scaleLowered">): StepOutcome {
  const terms = Object.keys(outputs).filter((name) => name.startsWith("term/"));
  return {
    loss: scalarOf(outputs, "loss"),
    ...judged,
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
