import { type FrameFacts, factsOf } from "./frame-facts.js";
import type { ImageHeader } from "./header.js";
import { type ModalityTransform, modalityValue } from "./lookup-table.js";
import type { PixelModule } from "./pixel-module.js";
import type { Frame, Samples } from "./samples.js";
import { type Voi, voiShade, windowBetween } from "./voi.js";

export interface GreyOptions {
  /** Instead of what the file says, from black to white in rescaled values. */
  readonly window?: readonly [low: number, high: number] | undefined;
}

/**
 * Stored values → 8-bit shades (PS3.4 annex N): modality transform, then VOI table or window, then the inversion of
 * MONOCHROME1. Without either, the image's own range is shown, padding left out.
 * @param index of the frame
 */
export function toGrey(
  { samples }: Frame,
  { pixels, frames }: ImageHeader,
  index: number,
  { window }: GreyOptions,
): Uint8Array {
  const facts = factsOf(frames, index);
  const range = rangeOf(samples, pixels.padding);
  const voi = window === undefined ? (facts.voi ?? fullRange(range, facts)) : windowBetween(window);
  const inverts = pixels.photometric === "MONOCHROME1";
  const shade = (stored: number): number => {
    const share = voi === undefined ? 0 : voiShade(voi, modalityValue(facts.modality, stored));
    return Math.floor((inverts ? 1 - share : share) * 255 + 0.5);
  };
  return mapped(samples, shade);
}

/** @returns undefined for an image of one value, which is black */
function fullRange({ low, high }: Range, { modality }: FrameFacts): Voi | undefined {
  const ends = [modalityValue(modality, low), modalityValue(modality, high)] as const;
  return ends[0] === ends[1] ? undefined : windowBetween([Math.min(...ends), Math.max(...ends)]);
}

interface Range {
  readonly low: number;
  readonly high: number;
}

/** Least and greatest stored value, padding left out unless there is nothing else. */
export function rangeOf(samples: Samples, padding: PixelModule["padding"]): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i]!;
    if (padding !== undefined && value >= padding.low && value <= padding.high) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low <= high) return { low, high };
  return padding === undefined ? { low: 0, high: 0 } : rangeOf(samples, undefined);
}

/** Values of up to 16 bits are few: each is worked out once. */
function mapped(samples: Samples, shade: (stored: number) => number): Uint8Array {
  if (samples.BYTES_PER_ELEMENT === 4) return Uint8Array.from(samples, shade);
  const { low, high } = rangeOf(samples, undefined);
  const shades = Uint8Array.from({ length: high - low + 1 }, (_, i) => shade(low + i));
  const result = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) result[i] = shades[samples[i]! - low]!;
  return result;
}

/** Values in the modality's unit, such as Hounsfield units. */
export function rescaled(samples: Samples, modality: ModalityTransform): Float32Array {
  const values = new Float32Array(samples.length);
  for (let i = 0; i < samples.length; i++) values[i] = modalityValue(modality, samples[i]!);
  return values;
}
