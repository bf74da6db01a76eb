import { ConsiliumError } from "../errors.js";
import { keystreamChunks } from "./mask.js";

/** Fixed point in the ring of integers modulo 2^32, with a clip for each tensor and unbiased rounding. */

/** A tensor as the encoding sees it: how many coordinates, and the largest magnitude of one. */
export interface ClippedTensor {
  readonly size: number;
  readonly clip: number;
}

/** Pairs the layout's tensors with the plan's clips. @throws ConsiliumError "plan-invalid" */
export function clippedTensors(sizes: readonly number[], clips: readonly number[]): ClippedTensor[] {
  if (clips.length !== sizes.length || !clips.every((clip) => Number.isFinite(clip) && clip > 0)) {
    throw new ConsiliumError("plan-invalid", `the plan's ${clips.length} clips do not fit ${sizes.length} tensors`);
  }
  return sizes.map((size, i) => ({ size, clip: clips[i]! }));
}

/** Coordinates [from, to) of the flat vector lie in one tensor. */
export interface TensorSpan {
  readonly from: number;
  readonly to: number;
  readonly clip: number;
}

/** The parts of [first, first + count) by tensor, in order. */
export function* tensorSpans(tensors: readonly ClippedTensor[], first: number, count: number): Generator<TensorSpan> {
  const end = first + count;
  let offset = 0;
  for (const { size, clip } of tensors) {
    const from = Math.max(first, offset);
    offset += size;
    const to = Math.min(end, offset);
    if (from < to) yield { from, to, clip };
    if (offset >= end) return;
  }
}

/** SR(v) = ⌊v⌋ + Bernoulli(v − ⌊v⌋), decided by a uniform 32-bit word. Exact for integers. */
export function roundStochastically(value: number, random: number): number {
  const floor = Math.floor(value);
  const distance = (random >>> 0) - (value - floor) * 2 ** 32;
  // −1 for a negative distance, else 0. No processor could predict a branch here.
  return floor - Math.floor(distance * 2 ** -33);
}

export interface DeltaEncoding {
  readonly tensors: readonly ClippedTensor[];
  /** w̃ in (0, 1]. */
  readonly weightShare: number;
  /** B: what a coordinate at its clip becomes with the full weight. */
  readonly ringBound: number;
  /** Key of the rounding randomness; not a mask. */
  readonly roundingKey: Uint8Array;
}

/** words[i] = SR(Δ[first+i]·scale) over one tensor's span. @returns how many coordinates exceeded `clip` */
function encodeSpan(
  delta: Float32Array,
  words: Int32Array,
  random: Int32Array,
  { clip, ringBound, scale }: { clip: number; ringBound: number; scale: number },
): number {
  let clipped = 0;
  for (let i = 0; i < words.length; i++) {
    const value = delta[i]!;
    let kept = value;
    if (!(value <= clip && value >= -clip)) {
      if (!Number.isFinite(value)) throw notFinite();
      clipped++;
      kept = value > 0 ? clip : -clip;
    }
    const bounded = Math.max(-ringBound, Math.min(ringBound, kept * scale));
    words[i] = roundStochastically(bounded, random[i]!) | 0;
  }
  return clipped;
}

/**
 * out[i] = SR(w̃·Δ[first+i]·B/C) for each coordinate, C its tensor's clip. The same arguments give the same words.
 * @returns how many coordinates exceeded their clip
 * @throws ConsiliumError "not-finite"
 */
export function encodeDelta(delta: Float32Array, first: number, out: Uint32Array, encoding: DeltaEncoding): number {
  const { tensors, weightShare, ringBound, roundingKey } = encoding;
  const words = new Int32Array(out.buffer, out.byteOffset, out.length);
  let clipped = 0;
  let start = first;
  // One word of uniform randomness for each coordinate, by position.
  for (const random of keystreamChunks(roundingKey, first, out.length)) {
    for (const { from, to, clip } of tensorSpans(tensors, start, random.length)) {
      const scale = (weightShare * ringBound) / clip;
      clipped += encodeSpan(
        delta.subarray(from, to),
        words.subarray(from - first, to - first),
        random.subarray(from - start, to - start),
        { clip, ringBound, scale },
      );
    }
    start += random.length;
  }
  return clipped;
}

function notFinite(): ConsiliumError {
  return new ConsiliumError("not-finite", "the update holds a value that is not a finite number", {
    remedy: "lower the learning rate or look at the data; nothing of this round was sent",
  });
}

export interface DeltaDecoding {
  readonly tensors: readonly ClippedTensor[];
  readonly ringBound: number;
  /** Σw̃ over the sites in the sum. */
  readonly weightShareSum: number;
  /** Sites in the sum. */
  readonly survivors: number;
  /** The largest noise that a sum may hold beside the sites' updates, in whole numbers. */
  readonly noise?: number;
}

/**
 * out[i] = Σq·C/(B·Σw̃), the weighted mean in float64 before it is stored.
 * @returns the sum of the means' squares
 * @throws ConsiliumError "aggregate-invalid" for a sum that no honest sites can have produced
 */
export function decodeMean(sums: Int32Array, first: number, out: Float32Array, decoding: DeltaDecoding): number {
  const { tensors, ringBound, weightShareSum, survivors, noise = 0 } = decoding;
  const largest = weightShareSum * ringBound + survivors + noise;
  let squares = 0;
  for (const { from, to, clip } of tensorSpans(tensors, first, sums.length)) {
    const scale = clip / (ringBound * weightShareSum);
    for (let i = from - first; i < to - first; i++) {
      const sum = sums[i]!;
      if (sum > largest || sum < -largest) throw outOfRange(first + i);
      const mean = sum * scale;
      out[i] = mean;
      squares += mean * mean;
    }
  }
  return squares;
}

function outOfRange(coordinate: number): ConsiliumError {
  return new ConsiliumError(
    "aggregate-invalid",
    `the sum at coordinate ${coordinate} is outside the encoding's range`,
    {
      remedy: "masks did not cancel or a site sent something else than its update; try the round again",
    },
  );
}
