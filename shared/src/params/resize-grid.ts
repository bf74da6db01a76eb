/** How a square grid of positions becomes another one, as PyTorch's `interpolate` does it. */
export interface GridResize {
  /** Patches along one side before. */
  readonly from: number;
  /** Patches along one side after. */
  readonly to: number;
  /**
   * Added to `to` where the distance between samples is computed, from / (to + offset), as DINOv2 does with 0.1 to have
   * the right size after rounding. Absent: 0, which is resizing to a size.
   */
  readonly offset?: number;
  /** Smooths when it shrinks, by widening the kernel with the distance between samples. */
  readonly antialias?: boolean;
}

/** The cubic convolution kernel (Keys 1981) at a distance in samples; `a` decides how sharp it is. */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/** PyTorch's constants: without smoothing as in OpenCV, with it as in Pillow. */
const plainSharpness = -0.75;
const smoothSharpness = -0.5;

/** Four samples around each place; those beyond the edge repeat it. */
function plainRow(row: number, { from, to, offset = 0 }: GridResize): number[] {
  const weights = new Array<number>(from).fill(0);
  const place = (row + 0.5) * (from / (to + offset)) - 0.5;
  const second = Math.floor(place);
  for (let sample = second - 1; sample <= second + 2; sample++) {
    weights[Math.min(Math.max(sample, 0), from - 1)]! += cubic(place - sample, plainSharpness);
  }
  return weights;
}

/** All samples within the widened kernel; what lies beyond the edge does not count, and weights sum to one. */
function smoothRow(row: number, { from, to, offset = 0 }: GridResize): number[] {
  const step = from / (to + offset);
  const spread = Math.max(1, step);
  const centre = (row + 0.5) * step;
  const weights = new Array<number>(from).fill(0);
  const first = Math.max(0, Math.floor(centre - 2 * spread + 0.5));
  const end = Math.min(from, Math.floor(centre + 2 * spread + 0.5));
  for (let sample = first; sample < end; sample++) {
    weights[sample] = cubic((sample + 0.5 - centre) / spread, smoothSharpness);
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Bicubic interpolation along one axis: `to` rows of `from` weights. Half-pixel centres. */
export function axisWeights(resize: GridResize): number[][] {
  const rowOf = resize.antialias === true ? smoothRow : plainRow;
  return Array.from({ length: resize.to }, (_, row) => rowOf(row, resize));
}

/** Bicubic interpolation of a square grid as a matrix [to², from²], row-major, for grids written row by row. */
export function resizeMatrix(resize: GridResize): Float32Array {
  const { from, to } = resize;
  const axis = axisWeights(resize);
  const matrix = new Float32Array((to * from) ** 2);
  let place = 0;
  for (const down of axis) {
    for (const across of axis) {
      for (const a of down) for (const b of across) matrix[place++] = a * b;
    }
  }
  return matrix;
}

/** Rows of `width` values, one for each place of a square grid, [from², width] → [to², width]. Sums in 64 bits. */
export function resizeRows(rows: Float32Array, width: number, resize: GridResize): Float32Array {
  const { from, to } = resize;
  const axis = axisWeights(resize);
  const across = blend(rows, axis, { outer: from, inner: width, from });
  return Float32Array.from(blend(across, axis, { outer: 1, inner: to * width, from }));
}

/** [outer, from, inner] → [outer, to, inner], each of the middle a weighted sum. */
function blend(
  values: Float32Array | Float64Array,
  axis: readonly (readonly number[])[],
  { outer, inner, from }: { readonly outer: number; readonly inner: number; readonly from: number },
): Float64Array {
  const result = new Float64Array(outer * axis.length * inner);
  let place = 0;
  for (let block = 0; block < outer; block++) {
    for (const weights of axis) {
      for (const [sample, weight] of weights.entries()) {
        if (weight === 0) continue;
        const start = (block * from + sample) * inner;
        for (let at = 0; at < inner; at++) result[place + at]! += weight * values[start + at]!;
      }
      place += inner;
    }
  }
  return result;
}
