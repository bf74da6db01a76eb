/** How an axis of an image is stretched or shrunk, as TensorFlow.js's resize operations define it. */
export interface Resampling {
  readonly from: number;
  readonly to: number;
  /** The first and the last element keep their places. */
  readonly alignCorners: boolean;
  /** Elements stand in the middle of their cells; otherwise at the beginning. */
  readonly halfPixelCenters: boolean;
}

function scaleOf({ from, to, alignCorners }: Resampling): number {
  return alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
}

/** The source element of every target element. */
export function nearestPlaces(axis: Resampling): Int32Array {
  const scale = scaleOf(axis);
  const offset = axis.halfPixelCenters ? 0.5 : 0;
  return Int32Array.from({ length: axis.to }, (_, place) => {
    const source = scale * (place + offset);
    return Math.min(axis.from - 1, Math.max(0, axis.alignCorners ? Math.round(source) : Math.floor(source)));
  });
}

/** Rows are target elements, columns source elements: [to, from], row-major. */
export function nearestWeights(axis: Resampling): Float32Array {
  const weights = new Float32Array(axis.to * axis.from);
  nearestPlaces(axis).forEach((source, place) => {
    weights[place * axis.from + source] = 1;
  });
  return weights;
}

/** Each target element lies between two source elements: [to, from], row-major. */
export function linearWeights(axis: Resampling): Float32Array {
  const weights = new Float32Array(axis.to * axis.from);
  const scale = scaleOf(axis);
  for (let place = 0; place < axis.to; place++) {
    const source = axis.halfPixelCenters ? scale * (place + 0.5) - 0.5 : scale * place;
    const inside = Math.min(axis.from - 1, Math.max(0, source));
    const low = Math.floor(inside);
    const high = Math.min(axis.from - 1, low + 1);
    weights[place * axis.from + low]! += 1 - (inside - low);
    weights[place * axis.from + high]! += inside - low;
  }
  return weights;
}

/** [rows, columns] → [columns, rows], row-major. */
export function transposed(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  return Float32Array.from({ length: matrix.length }, (_, index) => {
    return matrix[(index % rows) * columns + Math.floor(index / rows)]!;
  });
}
