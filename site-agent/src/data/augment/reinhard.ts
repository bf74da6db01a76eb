import type { ColourProfile } from "@consilium/shared/config/run-config.js";
import { encodedOf, labToLinear, linearOf, linearToLab } from "../curation/colour-spaces.js";
import type { RgbImage } from "../image.js";
import { tabulated } from "./curve-table.js";

/**
 * Colour transfer of Reinhard et al. 2001 in CIE L*a*b*: an image takes the means and deviations of another scanner's or
 * laboratory's images, six numbers that hold nothing of a patient.
 */

const linear = tabulated(linearOf);
const encoded = tabulated(encodedOf);

interface Moments {
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  count: number;
}

const startMoments = (): Moments => ({ sums: new Float64Array(3), squares: new Float64Array(3), count: 0 });

const lab = new Float64Array(3);

function note(moments: Moments, red: number, green: number, blue: number): void {
  linearToLab(lab, 0, linear(red), linear(green), linear(blue));
  for (let channel = 0; channel < 3; channel++) {
    moments.sums[channel]! += lab[channel]!;
    moments.squares[channel]! += lab[channel]! ** 2;
  }
  moments.count++;
}

function profileFrom({ sums, squares, count }: Moments): ColourProfile {
  const mean = (channel: number) => sums[channel]! / count;
  const deviation = (channel: number) => Math.sqrt(Math.max(0, squares[channel]! / count - mean(channel) ** 2));
  return [mean(0), mean(1), mean(2), deviation(0), deviation(1), deviation(2)];
}

/** Profile of interleaved red, green, blue in 0 … 1. */
export function profileOfPixels(pixels: Float32Array): ColourProfile {
  const moments = startMoments();
  for (let at = 0; at < pixels.length; at += 3) note(moments, pixels[at]!, pixels[at + 1]!, pixels[at + 2]!);
  return profileFrom(moments);
}

/** Pixels of which a profile is taken, spread evenly: more do not change it by much. */
const profilePixels = 10_000;

/** Profile of an image, or of a regular sample of the pixels of a large one. */
export function profileOf({ width, height, data }: RgbImage): ColourProfile {
  const moments = startMoments();
  // Odd, so that the sample does not stay in a few columns of an image of even width.
  const step = Math.floor(Math.max(1, (width * height) / profilePixels)) | 1;
  for (let pixel = 0; pixel < width * height; pixel += step) {
    const at = 3 * pixel;
    note(moments, data[at]! / 255, data[at + 1]! / 255, data[at + 2]! / 255);
  }
  return profileFrom(moments);
}

/** A channel that varies less than this, of 100, is flat: it is shifted and keeps its spread. */
const flat = 1e-3;

export interface Transfer {
  readonly from: ColourProfile;
  readonly to: ColourProfile;
}

/**
 * c' = (c − μ_from)·σ_to/σ_from + μ_to for L*, a*, b* of every pixel of 0 … 1, in place. Pixels whose own profile is `from`
 * have the profile `to` afterwards, but for colours that leave sRGB, which are cut.
 */
export function transferColours(pixels: Float32Array, { from, to }: Transfer): void {
  const gains = [0, 1, 2].map((channel) => (from[channel + 3]! < flat ? 1 : to[channel + 3]! / from[channel + 3]!));
  for (let at = 0; at < pixels.length; at += 3) {
    linearToLab(lab, 0, linear(pixels[at]!), linear(pixels[at + 1]!), linear(pixels[at + 2]!));
    for (let channel = 0; channel < 3; channel++) {
      lab[channel] = (lab[channel]! - from[channel]!) * gains[channel]! + to[channel]!;
    }
    labToLinear(pixels, at, lab[0]!, lab[1]!, lab[2]!);
    for (let channel = at; channel < at + 3; channel++) {
      pixels[channel] = Math.min(1, Math.max(0, encoded(pixels[channel]!)));
    }
  }
}

/** Largest factor on an image's spread: what is nearly flat would show its noise. */
const mostGain = 4;

/** As near to the target as an image can be brought without its noise growing into a texture. */
export function attainable({ from, to }: Transfer): ColourProfile {
  const spread = (channel: 3 | 4 | 5) => Math.min(to[channel], mostGain * from[channel]);
  return [to[0], to[1], to[2], spread(3), spread(4), spread(5)];
}
