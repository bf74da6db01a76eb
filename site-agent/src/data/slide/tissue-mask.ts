import type { RgbImage } from "../image.js";
import { hsvOf } from "./hsv.js";
import { otsuThreshold } from "./otsu.js";
import { type PenColour, penColourOf, penColours } from "./pen-marks.js";

export interface TissueMask {
  readonly width: number;
  readonly height: number;
  /** 1 where there is tissue, else 0. */
  readonly data: Uint8Array;
  /** Dark field or fluorescence. */
  readonly isDark: boolean;
}

/** Otsu always finds two classes, even in bare glass or in a slide full of tissue; outside these, it has found no tissue's edge. */
const saturationLimits = { least: 18, most: 50 } as const;

/** Bright field: what was not scanned is black. */
const blackBelow = 16;

/** Above the noise of a dark camera. */
const leastGlow = 6;

/** Whatever is brighter glows; how bright the brightest is must not move the threshold. */
const surelyGlows = 64;

/** Half of a slide darker than this is no bright field. */
const darkMedian = 80;

/** A colour that makes up more of the foreground is the stain (trichrome, Alcian blue), not a marker. */
const mostPen = 0.5;

/**
 * Where an overview of a slide shows tissue.
 * - Bright field (glass is white): saturation in HSV above Otsu's threshold, held between 18 and 50 of 255; not black,
 *   which was not scanned; not of a marker's colour, unless most of the foreground has that colour.
 * - Dark field and fluorescence (the median brightness is below 80 of 255): the logarithm of the brightness, which is
 *   the largest of red, green and blue and counts as 64 at most, above Otsu's threshold, and at least 6 of 255.
 */
export function tissueMask(overview: RgbImage): TissueMask {
  const { width, height, data } = overview;
  const isDark = isMostlyDark(data);
  return { width, height, data: isDark ? glowing(data) : stained(data), isDark };
}

const brightness = (rgb: Uint8Array, at: number): number => Math.max(rgb[at]!, rgb[at + 1]!, rgb[at + 2]!);

function isMostlyDark(rgb: Uint8Array): boolean {
  let darker = 0;
  for (let at = 0; at < rgb.length; at += 3) if (brightness(rgb, at) < darkMedian) darker++;
  return darker * 2 > rgb.length / 3;
}

function glowing(rgb: Uint8Array): Uint8Array {
  const bins = Uint8Array.from({ length: 256 }, (_, value) =>
    Math.round(32 * Math.log2(1 + Math.min(value, surelyGlows))),
  );
  const histogram = new Uint32Array(256);
  for (let at = 0; at < rgb.length; at += 3) histogram[bins[brightness(rgb, at)]!]!++;
  const threshold = otsuThreshold(histogram);
  const mask = new Uint8Array(rgb.length / 3);
  for (let pixel = 0; pixel < mask.length; pixel++) {
    const value = brightness(rgb, pixel * 3);
    mask[pixel] = value >= leastGlow && bins[value]! > threshold ? 1 : 0;
  }
  return mask;
}

/** While pens are told apart, the mask holds 2 and more for them. */
function stained(rgb: Uint8Array): Uint8Array {
  const threshold = saturationThreshold(rgb);
  const mask = new Uint8Array(rgb.length / 3);
  const counts = new Uint32Array(2 + penColours.length);
  for (let pixel = 0, at = 0; pixel < mask.length; pixel++, at += 3) {
    const hsv = hsvOf(rgb[at]!, rgb[at + 1]!, rgb[at + 2]!);
    const pen = hsv.value < blackBelow ? undefined : penColourOf(hsv);
    const isStained = hsv.saturation > threshold && hsv.value >= blackBelow;
    mask[pixel] = pen === undefined ? Number(isStained) : codeOf(pen);
    counts[mask[pixel]!]!++;
  }
  const foreground = counts.subarray(1).reduce((sum, count) => sum + count, 0);
  const asTissue = counts.map((count, code) => Number(code === 1 || (code > 1 && count > mostPen * foreground)));
  return mask.map((code) => asTissue[code]!);
}

const codeOf = (pen: PenColour): number => 2 + penColours.indexOf(pen);

function saturationThreshold(rgb: Uint8Array): number {
  const histogram = new Uint32Array(256);
  for (let at = 0; at < rgb.length; at += 3) {
    const { saturation, value } = hsvOf(rgb[at]!, rgb[at + 1]!, rgb[at + 2]!);
    if (value >= blackBelow) histogram[saturation]!++;
  }
  return Math.min(saturationLimits.most, Math.max(saturationLimits.least, otsuThreshold(histogram)));
}
