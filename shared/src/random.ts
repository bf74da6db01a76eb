import { createHash } from "node:crypto";

/** Reproducible randomness for data order, augmentation and initial weights. Never for keys or masks. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Uniform integer in [0, below). */
  integer(below: number): number;
  /** Standard normal. */
  normal(): number;
}

/**
 * What all draws of one training have in their names. In a run each site's is a secret, so that nobody can have the same
 * draws made again; an experiment takes a number.
 */
export type DrawSeed = string | number;

/** A generator that depends on every part of its name, such as (seed, site, epoch, image, view). */
export function randomFor(...name: readonly (string | number)[]): Random {
  const digest = createHash("sha256").update(JSON.stringify(name)).digest();
  return xoshiro128(
    digest.readUInt32LE(0) || 1,
    digest.readUInt32LE(4),
    digest.readUInt32LE(8),
    digest.readUInt32LE(12),
  );
}

/** xoshiro128**, Blackman and Vigna 2018. */
function xoshiro128(a: number, b: number, c: number, d: number): Random {
  const next = (): number => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const uniform = () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
  let spare: number | undefined;
  return {
    uniform,
    integer: (below) => Math.floor(uniform() * below),
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      // Box and Muller 1958; 1 - u keeps the logarithm finite.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      const angle = 2 * Math.PI * uniform();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
  };
}

/** Fisher and Yates: a permutation of 0 … length-1. */
export function permutation(length: number, random: Pick<Random, "integer">): Int32Array {
  const order = Int32Array.from({ length }, (_, index) => index);
  for (let i = length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}
