/** Rows of numbers, one for each patch, in one piece of memory: a million of 36 take 144 MB. */
export interface FeatureRows {
  readonly width: number;
  /** Row by row: as many values as rows × width. */
  readonly data: Float32Array;
}

export function rowCount({ data, width }: FeatureRows): number {
  return data.length / width;
}

/** What brings every column to mean 0 and deviation 1. */
export interface FeatureScaling {
  readonly mean: Float64Array;
  /** 1 for a column that does not vary. */
  readonly deviation: Float64Array;
}

/** A column that varies less than this, beside its mean, is constant but for rounding. */
const leastRelativeDeviation = 1e-6;

/** @returns a deviation to divide by */
export function usableDeviation(deviation: number, mean: number): number {
  return deviation > leastRelativeDeviation * Math.abs(mean) && deviation > 0 ? deviation : 1;
}

/** Means and population deviations of the columns. @param rows at least one */
export function scalingOf({ data, width }: FeatureRows): FeatureScaling {
  const mean = columnMeans(data, width, (value) => value);
  const variance = columnMeans(data, width, (value, column) => (value - mean[column]!) ** 2);
  return { mean, deviation: variance.map((value, column) => usableDeviation(Math.sqrt(value), mean[column]!)) };
}

function columnMeans(data: Float32Array, width: number, of: (value: number, column: number) => number): Float64Array {
  const sums = new Float64Array(width);
  for (let at = 0; at < data.length; at += width) {
    for (let column = 0; column < width; column++) sums[column]! += of(data[at + column]!, column);
  }
  return sums.map((sum) => (sum * width) / data.length);
}

/** Standardises the rows in place, so that a million need no second copy. */
export function standardise({ data, width }: FeatureRows, { mean, deviation }: FeatureScaling): void {
  for (let at = 0; at < data.length; at += width) {
    for (let column = 0; column < width; column++) {
      data[at + column] = (data[at + column]! - mean[column]!) / deviation[column]!;
    }
  }
}
