import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";
import type { CompileReport } from "./compile-report.js";

/**
 * A pure function from named tensors to named tensors, written once in TensorFlow.js operations and run by any engine:
 * a training step, an encoder, an evaluation. Shapes are fixed per program.
 */
export interface Program {
  /** For logs, caches and error messages, such as "simclr vit-nano step". */
  readonly name: string;
  readonly inputs: TensorSpecs;
  /**
   * Everything that decides what `build` records, as canonical JSON: configuration, shapes, options. Programs with equal
   * descriptions are the same program. Absent: never cached.
   */
  readonly description?: string;
  /** Must not keep tensors, read values or draw randomness: an engine may call it once and never again. */
  build(inputs: NamedTensors): NamedTensors;
}

/** A program that is ready to run. */
export interface CompiledProgram {
  /** How it was made; absent where there was nothing to compile. */
  readonly report?: CompileReport | undefined;
  /**
   * @param into outputs to write in place and return, by name; must not overlap the inputs. The others are new.
   * @throws ConsiliumError "internal" when an input is missing or has another shape or type than the program says,
   *   "out-of-memory" when the device has not enough
   */
  run(inputs: HostTensors, into?: HostTensors): Promise<HostTensors>;
  /**
   * Puts state where the program runs, so that it does not travel with every run.
   * @param state inputs of the program for which it has outputs of the same name and shape; copied
   */
  hold(state: HostTensors): Promise<HeldState>;
  release(): Promise<void>;
}

/** State on a device, moved on by its program. One run at a time. */
export interface HeldState {
  /**
   * One run with the held state and the other inputs.
   * @param accepts sees the outputs that are not state; only when it says yes do the state's outputs replace the state
   * @returns the outputs that are not state
   */
  advance(inputs: HostTensors, accepts: (outputs: HostTensors) => boolean): Promise<HostTensors>;
  /** The state as it is now; a copy. */
  read(): Promise<HostTensors>;
  release(): Promise<void>;
}

/** What runs programs: TensorFlow.js op by op, or one compiled graph. */
export interface Engine {
  readonly name: string;
  compile(program: Program): Promise<CompiledProgram>;
}
