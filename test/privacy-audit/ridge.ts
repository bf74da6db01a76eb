/**
 * a that minimises ‖y − Σ aᵢ·rowᵢ‖² + penalty·‖a‖², in double precision by Cholesky's method on the rows' inner products.
 * @param rows as long as y each
 */
export function ridge(rows: readonly Float32Array[], y: Float32Array, penalty: number): Float64Array {
  const gram = rows.map((row, i) => Float64Array.from({ length: i + 1 }, (_, j) => dot(row, rows[j]!)));
  gram.forEach((line, i) => {
    line[i]! += penalty;
  });
  return solve(
    cholesky(gram),
    rows.map((row) => dot(row, y)),
  );
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The lower triangle L of L·Lᵀ, in place of the matrix's. */
function cholesky(matrix: Float64Array[]): Float64Array[] {
  matrix.forEach((line, i) => {
    for (let j = 0; j <= i; j++) {
      const other = matrix[j]!;
      let sum = line[j]!;
      for (let k = 0; k < j; k++) sum -= line[k]! * other[k]!;
      line[j] = i === j ? Math.sqrt(sum) : sum / other[j]!;
    }
  });
  return matrix;
}

function solve(lower: readonly Float64Array[], right: readonly number[]): Float64Array {
  const x = Float64Array.from(right);
  for (let i = 0; i < x.length; i++) {
    for (let k = 0; k < i; k++) x[i]! -= lower[i]![k]! * x[k]!;
    x[i]! /= lower[i]![i]!;
  }
  for (let i = x.length - 1; i >= 0; i--) {
    for (let k = i + 1; k < x.length; k++) x[i]! -= lower[k]![i]! * x[k]!;
    x[i]! /= lower[i]![i]!;
  }
  return x;
}
