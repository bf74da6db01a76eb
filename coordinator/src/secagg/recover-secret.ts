import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import { combineShares, lagrangeWeights } from "@consilium/shared/secagg/shamir.js";
import type { HeldShare } from "./collect-shares.js";

/** Sets of holders to leave out that are tried before a secret is given up. */
const mostTries = 2000;

/** Index sets of the given size below `count`, in lexicographic order. */
function* combinations(count: number, size: number, first = 0): Generator<number[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let i = first; i <= count - size; i++) {
    for (const rest of combinations(count, size - 1, i + 1)) yield [i, ...rest];
  }
}

/** Subsets of `threshold` shares, those that leave out fewest of the first ones first. */
function* subsets(shares: readonly HeldShare[], threshold: number): Generator<HeldShare[]> {
  let tries = 0;
  for (let omitted = 0; omitted <= shares.length - threshold; omitted++) {
    for (const left of combinations(threshold + omitted, omitted)) {
      // Leaving out the last one of the window was tried with fewer left out.
      if (left.at(-1) === threshold + omitted - 1) continue;
      if (tries++ >= mostTries) return;
      yield shares.filter((_, i) => !left.includes(i)).slice(0, threshold);
    }
  }
}

/** Interpolation weights; the holders are the same for most secrets of an attempt. */
export class WeightCache {
  readonly #known = new Map<string, bigint[]>();

  weights(xs: readonly number[], at: number): bigint[] {
    const name = `${at}:${xs.join(",")}`;
    const known = this.#known.get(name) ?? lagrangeWeights(xs, at);
    this.#known.set(name, known);
    return known;
  }
}

export interface Recovery {
  readonly secret: Buffer;
  /** Holders whose share does not lie on the polynomial of the secret. */
  readonly liars: readonly string[];
}

export interface SecretSearch {
  readonly shares: readonly HeldShare[];
  readonly threshold: number;
  /** Whether a candidate is the secret that its owner committed to. */
  readonly matches: (candidate: Buffer) => boolean;
  /** Holders to use last. */
  readonly distrusted: ReadonlySet<string>;
  readonly cache: WeightCache;
}

function valueAt(subset: readonly HeldShare[], at: number, cache: WeightCache): Buffer {
  const xs = subset.map((share) => share.x);
  return combineShares(subset, cache.weights(xs, at));
}

/** The secret that matches, from any `threshold` of the shares; undefined when none of the subsets tried gives it. */
export function recoverSecret({ shares, threshold, matches, distrusted, cache }: SecretSearch): Recovery | undefined {
  const rank = (share: HeldShare) => (distrusted.has(share.holder) ? 1 : 0);
  const ordered = [...shares].sort((a, b) => rank(a) - rank(b) || a.x - b.x);
  for (const subset of subsets(ordered, threshold)) {
    const secret = valueAt(subset, 0, cache);
    if (!matches(secret)) continue;
    const used = new Set(subset);
    const liars = ordered
      .filter((share) => !used.has(share) && !sameBytes(valueAt(subset, share.x, cache), share.value))
      .map((share) => share.holder);
    return { secret, liars };
  }
  return undefined;
}
