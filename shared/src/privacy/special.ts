/** The functions of probability that accounting needs, accurate in their tails, and sums in log space. */

const rootPi = Math.sqrt(Math.PI);
/** Below this the series is used, above it the continued fraction; both reach 1e-14 here. */
const seriesLimit = 2;

/** erf for |x| ≤ 2 by Kummer's series 2/√π · e^(−x²) · Σ 2ⁿx^(2n+1)/(2n+1)!!, whose terms all have one sign (DLMF 7.6.2). */
function erfSeries(x: number): number {
  const doubled = 2 * x * x;
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= doubled / (2 * n + 1);
    sum += term;
  }
  return (2 / rootPi) * Math.exp(-x * x) * sum;
}

/** e^(x²)·erfc(x) for x ≥ 2: the continued fraction of DLMF 7.9.1, evaluated from its end. */
function erfcxFraction(x: number): number {
  const terms = 12 + Math.ceil(200 / (x * x));
  let tail = x;
  for (let n = terms; n >= 1; n--) tail = x + n / 2 / tail;
  return 1 / (rootPi * tail);
}

/** e^(−x²) with the square split, so that the error does not grow with x². */
function expMinusSquare(x: number): number {
  const head = Math.fround(x);
  return Math.exp(-head * head) * Math.exp(-(x - head) * (x + head));
}

/** The complementary error function; relative error below 1e-13 wherever the result is a normal number. */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x < -seriesLimit) return 2 - erfc(-x);
  if (x <= seriesLimit) return 1 - erfSeries(x);
  return x > 28 ? 0 : expMinusSquare(x) * erfcxFraction(x);
}

/** e^(x²)·erfc(x), which neither overflows nor vanishes for large positive x; Infinity below about −26. */
export function erfcx(x: number): number {
  if (x > seriesLimit) return erfcxFraction(x);
  return Math.exp(x * x) * erfc(x);
}

/** log erfc(x), finite for every finite x. */
export function logErfc(x: number): number {
  if (x > seriesLimit) return Math.log(erfcxFraction(x)) - x * x;
  // Near two, what is missing is small and must not be lost.
  return x < 0 ? Math.LN2 + Math.log1p(-erfc(-x) / 2) : Math.log(erfc(x));
}

/** Φ(x), the standard normal distribution function. */
export function normalCdf(x: number): number {
  return erfc(-x * Math.SQRT1_2) / 2;
}

/** Φ(to) − Φ(from) for from ≤ to, taken on the side where both are small. */
export function normalMass(from: number, to: number): number {
  const mass = from > 0 ? normalCdf(-from) - normalCdf(-to) : normalCdf(to) - normalCdf(from);
  return Math.max(0, mass);
}

/** log(eᵃ + eᵇ). */
export function logAdd(a: number, b: number): number {
  const high = Math.max(a, b);
  return Math.abs(high) === Number.POSITIVE_INFINITY ? high : high + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** log(eˣ − 1) for x > 0. */
export function logExpm1(x: number): number {
  return x > 40 ? x : Math.log(Math.expm1(x));
}
