/** A delta that any process can make again from the site's index: values of about ±5e-4, cheap to draw. */
export function syntheticDelta(dimension: number, site: number): Float32Array {
  const delta = new Float32Array(dimension);
  let state = (site + 1) * 2654435761;
  for (let index = 0; index < dimension; index++) {
    // Numerical Recipes' linear congruential generator: enough for values that only have to differ.
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    delta[index] = (state / 2 ** 31) * 5e-4;
  }
  return delta;
}
