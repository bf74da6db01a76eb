/** Mean and standard deviation of ImageNet's channels, which public checkpoints expect. */
export const channelMean = [0.485, 0.456, 0.406] as const;
export const channelDeviation = [0.229, 0.224, 0.225] as const;

/** Interleaved red, green, blue in 0 … 1 to ImageNet's scale, in place. */
export function normalise(pixels: Float32Array): void {
  for (let channel = 0; channel < 3; channel++) {
    const mean = channelMean[channel]!;
    const scale = 1 / channelDeviation[channel]!;
    for (let at = channel; at < pixels.length; at += 3) pixels[at] = (pixels[at]! - mean) * scale;
  }
}
