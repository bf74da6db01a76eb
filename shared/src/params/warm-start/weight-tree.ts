/** A tensor in a file that was opened; its values are read when they are wanted. */
export interface WeightTensor {
  readonly shape: readonly number[];
  /**
   * Row-major.
   * @throws ConsiliumError "input-unreadable" for a damaged file, "input-unsupported" for values that are no floats
   */
  read(): Promise<Float32Array>;
}

/** Tensors by name, and dictionaries of such by theirs. */
export interface WeightTree {
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  readonly children: ReadonlyMap<string, WeightTree>;
}
