/** Mean and standard deviation of ImageNet's channels in 0 … 1, which public checkpoints expect. */
export const channelMean = [0.485, 0.456, 0.406] as const;
export const channelDeviation = [0.229, 0.224, 0.225] as const;

/** Largest value of an 8-bit channel. */
const white = 255;

/** (x / 255 - mean) / deviation of a channel as x × factor + offset: [3] each. */
export const pixelFactor: readonly number[] = channelDeviation.map((deviation) => 1 / (white * deviation));
export const pixelOffset: readonly number[] = channelDeviation.map(
  (deviation, channel) => -channelMean[channel]! / deviation,
);

/** Interleaved red, green, blue in 0 … 255 as what `normalised` makes of it, in memory. */
export function normalisedPixels(pixels: Uint8Array): Float32Array {
  const out = new Float32Array(pixels.length);
  for (let channel = 0; channel < 3; channel++) {
    const factor = pixelFactor[channel]!;
    const offset = pixelOffset[channel]!;
    for (let at = channel; at < out.length; at += 3) out[at] = pixels[at]! * factor + offset;
  }
  return out;
}
