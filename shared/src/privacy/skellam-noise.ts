import { ConsiliumError } from "../errors.js";
import { keystreamChunks } from "../secagg/mask.js";
import { poisson } from "./poisson.js";

/** The largest variance that can be sampled: beyond it double precision does not resolve whole numbers well. */
export const mostVariance = 2 ** 50;
/** Keystream words fetched at a time. */
const portion = 2 ** 16;

/** Uniform values in [0, 1) with 53 bits from the AES-256-CTR keystream of a 32-byte key. */
function uniforms(key: Uint8Array): () => number {
  let position = 0;
  let at = 0;
  let words: Int32Array = new Int32Array(0);
  return () => {
    if (at === words.length) {
      [words = words] = keystreamChunks(key, position, portion);
      position += portion;
      at = 0;
    }
    const high = words[at]! >>> 11;
    const low = words[at + 1]! >>> 0;
    at += 2;
    return (high * 2 ** 32 + low) / 2 ** 53;
  };
}

/** Adds noise to the next words, which continue where those before ended. */
export type AddNoise = (words: Uint32Array) => void;

/**
 * words[i] += Skellam noise modulo 2³², the difference of two Poisson variables of mean variance/2. Whole numbers only, so
 * floating point leaves no trace in the sum.
 * @param variance a site's share, see noiseShareVariance
 * @param key 32 bytes, fresh and secret: who knows it can take the noise off
 * @throws ConsiliumError "config-invalid" for a variance that is not positive or above 2^50
 */
export function skellamNoise(variance: number, key: Uint8Array): AddNoise {
  if (!(variance > 0 && variance <= mostVariance)) {
    throw new ConsiliumError("config-invalid", `Skellam noise of variance ${variance} cannot be drawn`, {
      remedy: "the variance must be positive and at most 2^50; lower the scale",
    });
  }
  const uniform = uniforms(key);
  const mean = variance / 2;
  return (words) => {
    for (let i = 0; i < words.length; i++) {
      const noise = poisson(mean, uniform) - poisson(mean, uniform);
      words[i] = (words[i]! + noise) % 2 ** 32;
    }
  };
}
