import { type FeatureSet, selectRows } from "./feature-set.js";

/**
 * The same problem in fewer columns: features [count, width] with fewer rows than columns, written in an orthonormal
 * basis of the training rows' span. A linear classifier with an L2 penalty keeps its weights inside that span, so
 * nothing is lost, and raw pixels cost no more than a small encoder. Columns must have been standardised before.
 */
export interface Spanned {
  readonly train: FeatureSet;
  readonly queries: FeatureSet;
}

function dotRows(a: FeatureSet, rowA: number, b: FeatureSet, rowB: number): number {
  const [fromA, fromB] = [rowA * a.width, rowB * b.width];
  let sum = 0;
  for (let column = 0; column < a.width; column++) sum += a.values[fromA + column]! * b.values[fromB + column]!;
  return sum;
}

/** Rows that depend on earlier ones within this share of their length add no direction. */
const dependent = 1e-6;

/** Lower-triangular factor of the rows' Gram matrix, [count, count], zero columns left for dependent rows. */
function choleskyOfGram(rows: FeatureSet): Float64Array {
  const { count } = rows;
  const factor = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = dotRows(rows, i, rows, j);
      const square = rest;
      for (let k = 0; k < j; k++) rest -= factor[i * count + k]! * factor[j * count + k]!;
      if (i === j) factor[i * count + i] = rest > dependent * square ? Math.sqrt(rest) : 0;
      else factor[i * count + j] = factor[j * count + j] === 0 ? 0 : rest / factor[j * count + j]!;
    }
  }
  return factor;
}

/** Coordinates of one row in the basis that the factor stands for, by forward substitution. */
function coordinatesOf(products: Float64Array, factor: Float64Array): Float64Array {
  const count = products.length;
  const coordinates = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const pivot = factor[i * count + i]!;
    if (pivot === 0) continue;
    let rest = products[i]!;
    for (let k = 0; k < i; k++) rest -= factor[i * count + k]! * coordinates[k]!;
    coordinates[i] = rest / pivot;
  }
  return coordinates;
}

export function inSpanOf(train: FeatureSet, queries: FeatureSet): Spanned {
  if (train.width <= train.count) return { train, queries };
  const factor = choleskyOfGram(train);
  const width = train.count;
  const values = new Float32Array(queries.count * width);
  for (let row = 0; row < queries.count; row++) {
    const products = Float64Array.from({ length: width }, (_, at) => dotRows(train, at, queries, row));
    values.set(coordinatesOf(products, factor), row * width);
  }
  return {
    train: { count: width, width, values: Float32Array.from(factor) },
    queries: { count: queries.count, width, values },
  };
}

/** Columns shifted and scaled to the mean and deviation that the rows of `train` have. */
export function standardisedBy(train: FeatureSet, features: FeatureSet): FeatureSet {
  const { count, width } = train;
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  for (let at = 0; at < train.values.length; at++) mean[at % width]! += train.values[at]! / count;
  for (let at = 0; at < train.values.length; at++) {
    variance[at % width]! += (train.values[at]! - mean[at % width]!) ** 2 / count;
  }
  const scale = variance.map((value) => (value > 1e-12 ? 1 / Math.sqrt(value) : 1));
  const copy = selectRows(
    features,
    Int32Array.from({ length: features.count }, (_, row) => row),
  );
  for (let at = 0; at < copy.values.length; at++) {
    copy.values[at] = (copy.values[at]! - mean[at % width]!) * scale[at % width]!;
  }
  return copy;
}
