/** Poisson variables from uniform ones, for every mean up to 2^49. */

/** Below this mean the distribution is searched from zero. */
const smallMean = 10;

/**
 * A Poisson variable. Probabilities are right to a few parts in 10⁹: what 53-bit uniforms resolve at the largest means.
 * @param mean from 0 to 2^49
 * @param uniform gives independent values in [0, 1)
 */
export function poisson(mean: number, uniform: () => number): number {
  return mean < smallMean ? smallPoisson(mean, uniform) : largePoisson(mean, uniform);
}

function smallPoisson(mean: number, uniform: () => number): number {
  let left = uniform();
  let probability = Math.exp(-mean);
  let k = 0;
  // The last terms vanish before rounding could make the search endless.
  while (left >= probability && probability > 0) {
    left -= probability;
    k += 1;
    probability *= mean / k;
  }
  return k;
}

/** Transformed rejection with squeeze, algorithm PTRS of Hörmann 1993. */
function largePoisson(mean: number, uniform: () => number): number {
  const b = 0.931 + 2.53 * Math.sqrt(mean);
  const a = -0.059 + 0.02483 * b;
  const inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
  const squeeze = 0.9277 - 3.6224 / (b - 2);
  while (true) {
    const u = uniform() - 0.5;
    const v = 1 - uniform();
    const distance = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / distance + b) * u + mean + 0.43);
    if (distance >= 0.07 && v <= squeeze) return k;
    // A distance of zero gives no finite k.
    if (!(k >= 0 && k < Number.MAX_SAFE_INTEGER) || (distance < 0.013 && v > distance)) continue;
    if (Math.log((v * inverseAlpha) / (a / (distance * distance) + b)) <= logPoisson(k, mean)) return k;
  }
}

/**
 * log of the probability of k, in the saddle-point form of Loader 2000: k·log λ − λ − log k! would cancel all digits for
 * large means.
 */
export function logPoisson(k: number, mean: number): number {
  if (k === 0) return -mean;
  return -stirlingError(k) - deviance(k, mean) - Math.log(2 * Math.PI * k) / 2;
}

/** log k! − log(√(2πk)·(k/e)^k). */
function stirlingError(k: number): number {
  if (k > 15) {
    const square = k * k;
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / (1188 * square)) / square) / square) / square) / k;
  }
  let logFactorial = 0;
  for (let i = 2; i <= k; i++) logFactorial += Math.log(i);
  return logFactorial - (k + 0.5) * Math.log(k) + k - Math.log(2 * Math.PI) / 2;
}

/** k·log(k/λ) + λ − k, without cancellation where k is near λ. */
function deviance(k: number, mean: number): number {
  const difference = k - mean;
  if (Math.abs(difference) >= 0.1 * (k + mean)) return k * Math.log(k / mean) - difference;
  const v = difference / (k + mean);
  let sum = difference * v;
  let term = 2 * k * v;
  for (let j = 1; ; j++) {
    term *= v * v;
    const next = sum + term / (2 * j + 1);
    if (next === sum) return sum;
    sum = next;
  }
}
