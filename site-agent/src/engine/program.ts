import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";

/**
 * A pure function from named tensors to named tensors, written once in TensorFlow.js operations and run by any engine:
 * a training step, an encoder, an evaluation. Shapes are fixed per program.
 */
export interface Program {
  /** For logs, caches and error messages, such as "simclr vit-nano step". */
  readonly name: string;
  readonly inputs: TensorSpecs;
  /** Must not keep tensors, read values or draw randomness: an engine may call it once and never again. */
  build(inputs: NamedTensors): NamedTensors;
}

/** A program that is ready to run. */
export interface CompiledProgram {
  /**
   * @param into outputs to write in place and return, by name; must not overlap the inputs. The others are new.
   * @throws ConsiliumError "internal" when an input is missing or has another shape or type than the program says.
   */
  run(inputs: HostTensors, into?: HostTensors): Promise<HostTensors>;
  release(): Promise<void>;
}

/** What runs programs: TensorFlow.js op by op, or one compiled graph. */
export interface Engine {
  readonly name: string;
  compile(program: Program): Promise<CompiledProgram>;
}
