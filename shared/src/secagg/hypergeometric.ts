/**
 * Tails of the hypergeometric distribution in exact integers: all sites must compute the same graph, and no rounding
 * may turn a probability just above its bound into one just below.
 */

/** `draws` of `population`, without putting back; `marked` of the population count. */
export interface Draw {
  readonly population: number;
  readonly marked: number;
  readonly draws: number;
}

/** Pascal's triangle, row by row as it is asked for; row n holds C(n, 0) … C(n, ⌊n/2⌋). */
const rows: bigint[][] = [[1n]];

function row(n: number): readonly bigint[] {
  for (let next = rows.length; next <= n; next++) {
    const above = rows[next - 1]!;
    const from = (k: number) => above[Math.min(k, next - 1 - k)]!;
    rows.push(Array.from({ length: (next >> 1) + 1 }, (_, k) => (k === 0 ? 1n : from(k - 1) + from(k))));
  }
  return rows[n]!;
}

/** C(n, k); 0 outside 0 ≤ k ≤ n. */
export function binomial(n: number, k: number): bigint {
  return k < 0 || k > n ? 0n : row(n)[Math.min(k, n - k)]!;
}

/** How many of the C(population, draws) equally likely draws hold exactly `count` marked ones. */
function drawsWith({ population, marked, draws }: Draw, count: number): bigint {
  return binomial(marked, count) * binomial(population - marked, draws - count);
}

/** A probability bound as 1 / `inverse`. */
export interface Bound {
  readonly inverse: bigint;
}

/** The smallest x with P[marked drawn > x] ≤ 1 / inverse. */
export function upperQuantile(draw: Draw, { inverse }: Bound): number {
  const total = binomial(draw.population, draw.draws);
  let above = 0n;
  for (let count = Math.min(draw.draws, draw.marked); count > 0; count--) {
    above += drawsWith(draw, count);
    if (above * inverse > total) return count;
  }
  return 0;
}

/** The largest x with P[marked drawn < x] < 1 / inverse. */
export function lowerQuantile(draw: Draw, { inverse }: Bound): number {
  const total = binomial(draw.population, draw.draws);
  let below = 0n;
  for (let count = 0; count < draw.draws; count++) {
    below += drawsWith(draw, count);
    if (below * inverse >= total) return count;
  }
  return draw.draws;
}
