/** ln of "n choose k", as a sum of logarithms: exact enough for thousands. */
export function lnBinomial(n: number, k: number): number {
  let sum = 0;
  for (let i = 1; i <= Math.min(k, n - k); i++) sum += Math.log((n - i + 1) / i);
  return sum;
}
