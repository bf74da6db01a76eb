/** Features of several images, one row each: [count, width], row-major. */
export interface FeatureSet {
  readonly count: number;
  readonly width: number;
  readonly values: Float32Array;
}

/** The rows at `indices`, in that order. */
export function selectRows({ width, values }: FeatureSet, indices: ArrayLike<number>): FeatureSet {
  const selected = new Float32Array(indices.length * width);
  for (let row = 0; row < indices.length; row++) {
    const start = indices[row]! * width;
    selected.set(values.subarray(start, start + width), row * width);
  }
  return { count: indices.length, width, values: selected };
}

/** The rows of both, which have one width. */
export function joinRows(first: FeatureSet, second: FeatureSet): FeatureSet {
  const values = new Float32Array(first.values.length + second.values.length);
  values.set(first.values);
  values.set(second.values, first.values.length);
  return { count: first.count + second.count, width: first.width, values };
}

/** Index of the largest value of each row of [count, classes]; the first among equals. */
export function largestPerRow(scores: ArrayLike<number>, classes: number): Int32Array {
  const largest = new Int32Array(scores.length / classes);
  for (let row = 0; row < largest.length; row++) {
    let best = 0;
    for (let label = 1; label < classes; label++) {
      if (scores[row * classes + label]! > scores[row * classes + best]!) best = label;
    }
    largest[row] = best;
  }
  return largest;
}
