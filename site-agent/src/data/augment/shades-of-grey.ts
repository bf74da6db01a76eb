import type { RgbImage } from "../image.js";

/** Finlayson and Trezzi 2004 found a Minkowski norm of 6 best. */
const norm = 6;

const powers = Float64Array.from({ length: 256 }, (_, level) => (level / 255) ** norm);

/** A factor for each of red, green and blue. */
export type ChannelGains = readonly [number, number, number];

/** A channel that is darker than this on the whole says nothing of the light. */
const leastLight = 1 / 255;
const mostGain = 4;

/**
 * Shades of grey (Finlayson and Trezzi 2004): the colour of the light is the Minkowski mean of each channel's levels.
 * @returns factors that make this light grey, its brightness kept; at most 4
 */
export function greyingGains({ data }: RgbImage): ChannelGains {
  const sums = [0, 0, 0];
  for (let at = 0; at < data.length; at += 3) {
    for (let channel = 0; channel < 3; channel++) sums[channel]! += powers[data[at + channel]!]!;
  }
  const light = sums.map((sum) => Math.max(leastLight, ((3 * sum) / data.length) ** (1 / norm)));
  const brightness = Math.hypot(...light) / Math.sqrt(3);
  const gain = (channel: number) => Math.min(mostGain, brightness / light[channel]!);
  return [gain(0), gain(1), gain(2)];
}

/** Scales the channels of interleaved red, green, blue in 0 … 1, in place, and cuts at white. */
export function scaleChannels(pixels: Float32Array, gains: ChannelGains): void {
  for (let at = 0; at < pixels.length; at += 3) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[at + channel] = Math.min(1, pixels[at + channel]! * gains[channel]!);
    }
  }
}
