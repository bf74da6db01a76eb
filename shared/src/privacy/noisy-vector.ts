import type { Entropy } from "../entropy.js";
import { ConsiliumError } from "../errors.js";
import { keystreamChunks } from "../secagg/mask.js";
import { secretBytes } from "../secagg/protocol.js";
import { roundStochastically } from "../secagg/quantize.js";
import type { SiteNoise } from "./site-mechanism.js";
import { roundedSensitivity } from "./skellam.js";
import { skellamNoise } from "./skellam-noise.js";

/**
 * A site's update as whole numbers with noise: cut to the clip, scaled, rounded at random, and only then noise is added,
 * in whole numbers (Agarwal, Kairouz and Liu 2021). Floating point so leaves no trace in what the noise is to hide.
 */

/** A rounding keeps the norm's bound with probability 0.39 or more, so that all of these fail once in 10²¹. */
const roundingTries = 100;

export interface NoisyKeys {
  /** Decides how each coordinate was rounded. */
  readonly rounding: Uint8Array;
  /** Fresh and secret: who knows it can take the noise off. */
  readonly noise: Uint8Array;
}

/** What to multiply with, so that the norm is at most the scale. @throws ConsiliumError "not-finite" */
function factorOf(delta: Float32Array, { clip, scale }: SiteNoise): number {
  let squares = 0;
  for (let i = 0; i < delta.length; i++) squares += delta[i]! * delta[i]!;
  const norm = Math.sqrt(squares);
  if (Number.isFinite(norm)) return scale / Math.max(norm, clip);
  throw new ConsiliumError("not-finite", "the update holds a value that is not a finite number", {
    remedy: "lower the learning rate or look at the data; nothing of this round was sent",
  });
}

interface Rounding {
  readonly delta: Float32Array;
  readonly factor: number;
  readonly key: Uint8Array;
}

/** Rounds coordinates from `first` on, and hands each on. */
function round({ delta, factor, key }: Rounding, first: number, count: number, take: (q: number, i: number) => void) {
  let at = 0;
  for (const chunk of keystreamChunks(key, first, count)) {
    for (let i = 0; i < chunk.length; i++, at++) {
      take(roundStochastically(delta[first + at]! * factor, chunk[i]!), at);
    }
  }
}

/**
 * Keys for an update, the rounding's drawn until the rounded norm is within the bound that ε was worked out with.
 * @throws ConsiliumError "not-finite", or "internal" when no rounding keeps the bound: then nothing may be sent
 */
export function drawNoisyKeys(delta: Float32Array, noise: SiteNoise, entropy: Entropy): NoisyKeys {
  const { scale } = noise;
  const factor = factorOf(delta, noise);
  const most = (roundedSensitivity({ dimension: delta.length, scale }).l2 * scale) ** 2;
  for (let tries = 0; tries < roundingTries; tries++) {
    const key = entropy.bytes(secretBytes);
    let squares = 0;
    round({ delta, factor, key }, 0, delta.length, (q) => {
      squares += q * q;
    });
    if (squares <= most) return { rounding: key, noise: entropy.bytes(secretBytes) };
  }
  throw new ConsiliumError("internal", `${roundingTries} roundings of an update were all longer than noise can hide`, {
    remedy: "nothing was sent; report this, for it should never happen",
  });
}

/**
 * Fills words with the noisy update from `firstWord` on, all within the update. Called in order from word 0; the same
 * keys give the same words. @throws ConsiliumError "not-finite"
 */
export function noisyEncoder(delta: Float32Array, noise: SiteNoise, keys: NoisyKeys) {
  const rounding = { delta, factor: factorOf(delta, noise), key: keys.rounding };
  const addNoise = skellamNoise(noise.shareVariance, keys.noise);
  return (words: Uint32Array, firstWord: number): void => {
    round(rounding, firstWord, words.length, (q, i) => {
      words[i] = q;
    });
    addNoise(words);
  };
}
