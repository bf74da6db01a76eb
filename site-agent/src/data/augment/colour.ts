import { permutation, type Random } from "@consilium/shared/random.js";
import { shiftHue } from "./hue.js";

/**
 * Colour changes as torchvision defines them on images in 0 … 1, in place on interleaved red, green, blue.
 */

/** ITU-R BT.601 luma. */
const redShare = 0.2989;
const greenShare = 0.587;
const blueShare = 0.114;

export interface JitterStrength {
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** In turns of the colour circle, at most 0.5. */
  readonly hue: number;
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 1 ? 1 : value;
}

function luma(pixels: Float32Array, at: number): number {
  return redShare * pixels[at]! + greenShare * pixels[at + 1]! + blueShare * pixels[at + 2]!;
}

export function scaleBrightness(pixels: Float32Array, factor: number): void {
  for (let index = 0; index < pixels.length; index++) pixels[index] = clamp(pixels[index]! * factor);
}

/** Moves every value away from or towards the image's mean grey. */
export function scaleContrast(pixels: Float32Array, factor: number): void {
  let sum = 0;
  for (let at = 0; at < pixels.length; at += 3) sum += luma(pixels, at);
  const rest = (1 - factor) * (sum / (pixels.length / 3));
  for (let index = 0; index < pixels.length; index++) pixels[index] = clamp(factor * pixels[index]! + rest);
}

/** Moves every pixel away from or towards its own grey. */
export function scaleSaturation(pixels: Float32Array, factor: number): void {
  for (let at = 0; at < pixels.length; at += 3) {
    const rest = (1 - factor) * luma(pixels, at);
    pixels[at] = clamp(factor * pixels[at]! + rest);
    pixels[at + 1] = clamp(factor * pixels[at + 1]! + rest);
    pixels[at + 2] = clamp(factor * pixels[at + 2]! + rest);
  }
}

export function toGrayscale(pixels: Float32Array): void {
  for (let at = 0; at < pixels.length; at += 3) {
    const grey = luma(pixels, at);
    pixels[at] = grey;
    pixels[at + 1] = grey;
    pixels[at + 2] = grey;
  }
}

/** Level from which Pillow's `solarize` inverts, of 0 … 255. */
const solarizeFrom = 128 / 255;

/** Inverts every value from the middle level up. */
export function solarize(pixels: Float32Array): void {
  for (let index = 0; index < pixels.length; index++) {
    const value = pixels[index]!;
    if (value >= solarizeFrom) pixels[index] = 1 - value;
  }
}

/** A factor in [1 - strength, 1 + strength], not below zero. */
function drawFactor(strength: number, random: Random): number {
  const least = Math.max(0, 1 - strength);
  return least + (1 + strength - least) * random.uniform();
}

/** All four changes in random order; one of strength zero changes nothing and draws nothing. */
export function jitterColour(pixels: Float32Array, strength: JitterStrength, random: Random): void {
  for (const change of permutation(4, random)) {
    if (change === 0 && strength.brightness > 0) scaleBrightness(pixels, drawFactor(strength.brightness, random));
    if (change === 1 && strength.contrast > 0) scaleContrast(pixels, drawFactor(strength.contrast, random));
    if (change === 2 && strength.saturation > 0) scaleSaturation(pixels, drawFactor(strength.saturation, random));
    if (change === 3 && strength.hue > 0) shiftHue(pixels, strength.hue * (2 * random.uniform() - 1));
  }
}
