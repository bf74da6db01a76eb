import { lnBinomial } from "./binomial.js";

/**
 * What guesses about members say of ε, from one run of training (Steinke, Nasr and Jagielski 2023). Each of `canaries`
 * patients was a member by a fair coin of its own; of `guesses` of them the auditor said whether, and `right` of these
 * were true.
 */
export interface Guesses {
  readonly canaries: number;
  readonly guesses: number;
  readonly right: number;
}

/**
 * The most that an (ε, δ)-private release can tell apart a member from another by: the largest difference between the
 * rates of true and false alarms of any attack (Kairouz, Oh and Viswanath 2015).
 */
export function advantageAllowed(epsilon: number, delta: number): number {
  return (Math.exp(epsilon) - 1 + 2 * delta) / (Math.exp(epsilon) + 1);
}

/**
 * The probability that an (ε, δ)-private training lets an auditor guess so well, at most: theorem 5.2 of the paper, by the
 * formula of its appendix D.
 */
export function guessingProbability({ canaries, guesses, right }: Guesses, epsilon: number, delta: number): number {
  const share = 1 / (1 + Math.exp(-epsilon));
  const exactly = (count: number) =>
    Math.exp(lnBinomial(guesses, count) + count * Math.log(share) + (guesses - count) * Math.log1p(-share));
  let atLeast = 0;
  for (let count = right; count <= guesses; count++) atLeast += exactly(count);
  let below = 0;
  let steepest = 0;
  for (let fewer = 1; fewer <= right; fewer++) {
    below += exactly(right - fewer);
    steepest = Math.max(steepest, below / fewer);
  }
  return Math.min(1, atLeast + 2 * canaries * delta * steepest);
}

/** The largest ε that the guesses refute with the given confidence; 0 where they refute none. */
export function leastEpsilon(found: Guesses, { delta, confidence }: { delta: number; confidence: number }): number {
  const refuted = (epsilon: number) => guessingProbability(found, epsilon, delta) < 1 - confidence;
  let [low, high] = [0, 30];
  if (!refuted(low)) return 0;
  while (high - low > 1e-4) {
    const middle = (low + high) / 2;
    if (refuted(middle)) low = middle;
    else high = middle;
  }
  return low;
}
