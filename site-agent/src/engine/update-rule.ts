import type { NamedTensors } from "../model/tensors.js";
import type { Scalar, Tensor } from "../model/tf.js";

/** What an optimiser updates at once: one tensor, or several of one size stacked as rows [tensors, size]. */
export interface Operand {
  readonly parameter: Tensor;
  /** The optimiser's own state, of the parameter's shape. */
  readonly slots: NamedTensors;
  readonly gradient: Tensor;
  /** The gradient's squares, element by element. */
  readonly squares: Tensor;
  /** Their sum over each tensor: [], or [tensors, 1] of a stack. */
  readonly squareSum: Tensor;
  /** What the gradient is to be multiplied with, [] or [tensors, 1]; absent: one. */
  readonly factor?: Tensor;
  /** Of rank two and more. Biases and norms neither decay nor have their rate adapted. */
  readonly decays: boolean;
}

export interface Updated {
  readonly parameter: Tensor;
  /** The same names as the operand's. */
  readonly slots: NamedTensors;
}

/** A gradient method as tensor operations. */
export interface UpdateRule {
  /** Names of the vectors that it keeps for every parameter; they start at zero. */
  readonly slots: readonly string[];
  /** Scalars that it reads every step, of "learningRate", "weightDecay" and "step" (1 for the first). */
  readonly scalars: readonly string[];
  /** @param scalars those that it names */
  begin(scalars: Readonly<Record<string, Scalar>>): (operand: Operand) => Updated;
}
