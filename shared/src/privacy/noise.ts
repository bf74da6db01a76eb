import { ConsiliumError } from "../errors.js";
import { keystreamChunks } from "../secagg/mask.js";

/**
 * Gaussian noise for sums that leave a site as floating-point numbers. Noise for the ring is whole numbers and is never
 * made from these.
 */
export interface NoiseStream {
  /** Fills with independent standard normal values. */
  fill(values: Float64Array): void;
}

/** Four 53-bit uniforms of two words each make two normal values. */
const wordsPerPair = 8;

/**
 * Normal values from the AES-256-CTR keystream of a 32-byte key, which must be fresh and secret: who knows it can take the
 * noise off. Each value is (n1 + n2)/√2 of two Box–Muller values, so that no output has few preimages (Holohan and
 * Braghin 2021).
 */
export function noiseStream(key: Uint8Array): NoiseStream {
  let position = 0;
  return {
    fill(values) {
      const count = wordsPerPair * Math.ceil(values.length / 2);
      let at = 0;
      for (const words of keystreamChunks(key, position, count)) {
        fillFrom(words, values, at);
        at += (2 * words.length) / wordsPerPair;
      }
      position += count;
    },
  };
}

function fillFrom(words: Int32Array, values: Float64Array, first: number): void {
  for (let word = 0, at = first; word < words.length; word += wordsPerPair, at += 2) {
    const radius = radiusAt(words, word);
    const angle = 2 * Math.PI * uniformAt(words, word + 2);
    const otherRadius = radiusAt(words, word + 4);
    const otherAngle = 2 * Math.PI * uniformAt(words, word + 6);
    values[at] = (radius * Math.cos(angle) + otherRadius * Math.cos(otherAngle)) * Math.SQRT1_2;
    // Of an odd number of values the last has no second; writing past the end does nothing.
    values[at + 1] = (radius * Math.sin(angle) + otherRadius * Math.sin(otherAngle)) * Math.SQRT1_2;
  }
}

/** 1 − u is never zero, so the logarithm is finite; what it cannot reach has probability 2^-53. */
function radiusAt(words: Int32Array, at: number): number {
  return Math.sqrt(-2 * Math.log(1 - uniformAt(words, at)));
}

/** In [0, 1), 53 bits. */
function uniformAt(words: Int32Array, at: number): number {
  return ((words[at]! >>> 11) * 2 ** 32 + (words[at + 1]! >>> 0)) / 2 ** 53;
}

/** Bits of the noise's deviation that stay in an output. */
const keptBits = 12;
/** Values for which noise is made at a time. */
const block = 2 ** 14;

/** The grid that noisy values lie on: a power of two, at most 2^-12 of the deviation, so it adds nothing that matters to it. */
export function noiseGrid(deviation: number): number {
  return 2 ** (Math.floor(Math.log2(deviation)) - keptBits);
}

/**
 * values[i] ← the multiple of the grid nearest to values[i] + deviation·normal. Rounding after adding hides the low bits,
 * which would tell a value's own from the noise's (Mironov 2012); it is a function of the private result, so it costs no
 * privacy.
 * @throws ConsiliumError "config-invalid" for a deviation that is not positive, "not-finite" for a value that is not finite
 */
export function addGaussianNoise(values: Float32Array | Float64Array, deviation: number, stream: NoiseStream): void {
  if (!(deviation > 0) || !Number.isFinite(deviation)) {
    throw new ConsiliumError("config-invalid", `noise with deviation ${deviation} was asked for; it must be positive`);
  }
  if (!values.every(Number.isFinite)) {
    throw new ConsiliumError("not-finite", "the sum that noise is added to holds a value that is not a finite number", {
      remedy: "clip each patient's part before summing; nothing was sent",
    });
  }
  const grid = noiseGrid(deviation);
  const perGrid = 1 / grid;
  const noise = new Float64Array(Math.min(block, values.length));
  for (let first = 0; first < values.length; first += block) {
    const part = noise.subarray(0, Math.min(block, values.length - first));
    stream.fill(part);
    for (let i = 0; i < part.length; i++) {
      values[first + i] = Math.round((values[first + i]! + deviation * part[i]!) * perGrid) * grid;
    }
  }
}
