import type { Random } from "@consilium/shared/random.js";

/** What differs between radiographs of one patient from two devices: window, level and curve. Brighter stays brighter. */

export interface RadiographJitter {
  /** How far the window's width may be from the image's own, and twice its level, as a share of the width. */
  readonly window: number;
  /** The curve's exponent lies between 1 / (1 + gamma) and 1 + gamma. */
  readonly gamma: number;
}

/** Shows the grey levels of a window of 0 … 1 as 0 … 1, in place; what lies outside is cut. */
export function applyWindow(pixels: Float32Array, { level, width }: { level: number; width: number }): void {
  const least = level - width / 2;
  for (let at = 0; at < pixels.length; at++) pixels[at] = Math.min(1, Math.max(0, (pixels[at]! - least) / width));
}

/** v^exponent for every value of 0 … 1, in place; resizing may have left a value just below 0. */
export function applyGamma(pixels: Float32Array, exponent: number): void {
  for (let at = 0; at < pixels.length; at++) pixels[at] = Math.max(0, pixels[at]!) ** exponent;
}

/** A strength of zero changes nothing and draws nothing. */
export function jitterRadiograph(pixels: Float32Array, { window, gamma }: RadiographJitter, random: Random): void {
  const draw = () => 2 * random.uniform() - 1;
  if (window > 0) applyWindow(pixels, { width: 1 + window * draw(), level: 0.5 + (window / 2) * draw() });
  // As often an exponent as its inverse, so that images become neither brighter nor darker on the whole.
  if (gamma > 0) applyGamma(pixels, (1 + gamma) ** draw());
}
