/**
 * Colour spaces of one sRGB pixel, by scikit-image's formulas and constants: CIE L*a*b* of 1976 for D65 and the 2° observer
 * (`rgb2lab`), HSV (`rgb2hsv`), and haematoxylin, eosin, DAB by colour deconvolution (`rgb2hed`, Ruifrok and Johnston 2001).
 * A colour is written to three places of `into` from `at` on, so that nothing is allocated for a pixel.
 */

export type Triple = Float32Array | Float64Array;

/** IEC 61966-2-1, from 0 … 1 to linear light. */
export function linearOf(encoded: number): number {
  return encoded > 0.04045 ? ((encoded + 0.055) / 1.055) ** 2.4 : encoded / 12.92;
}

/** The inverse of `linearOf`; negative light stays negative, so that a colour outside sRGB can be told. */
export function encodedOf(linear: number): number {
  return linear > 0.0031308 ? 1.055 * linear ** (1 / 2.4) - 0.055 : 12.92 * linear;
}

type Matrix = readonly [number, number, number, number, number, number, number, number, number];

/** Row by row, of column vectors. */
const xyzFromRgb: Matrix = [0.412453, 0.35758, 0.180423, 0.212671, 0.71516, 0.072169, 0.019334, 0.119193, 0.950227];
const whiteX = 0.95047;
const whiteZ = 1.08883;

/** Rows are what a unit of haematoxylin, eosin and DAB absorbs of red, green and blue. */
const rgbFromHed: Matrix = [0.65, 0.7, 0.29, 0.07, 0.99, 0.11, 0.27, 0.57, 0.78];

function inverse([a, b, c, d, e, f, g, h, i]: Matrix): Matrix {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    (e * i - f * h) / determinant,
    (c * h - b * i) / determinant,
    (b * f - c * e) / determinant,
    (f * g - d * i) / determinant,
    (a * i - c * g) / determinant,
    (c * d - a * f) / determinant,
    (d * h - e * g) / determinant,
    (b * g - a * h) / determinant,
    (a * e - b * d) / determinant,
  ];
}

const rgbFromXyz = inverse(xyzFromRgb);
const hedFromRgb = inverse(rgbFromHed);

/** Where the cube root gives way to a line. */
const labKnee = 0.008856;
const labSlope = 7.787;
const labOffset = 16 / 116;

function labCurve(value: number): number {
  return value > labKnee ? Math.cbrt(value) : labSlope * value + labOffset;
}

function labCurveInverse(value: number): number {
  return value > 0.2068966 ? value ** 3 : (value - labOffset) / labSlope;
}

/** Linear light 0 … 1 to L* 0 … 100, a*, b*. */
export function linearToLab(into: Triple, at: number, red: number, green: number, blue: number): void {
  const m = xyzFromRgb;
  const x = labCurve((m[0] * red + m[1] * green + m[2] * blue) / whiteX);
  const y = labCurve(m[3] * red + m[4] * green + m[5] * blue);
  const z = labCurve((m[6] * red + m[7] * green + m[8] * blue) / whiteZ);
  into[at] = 116 * y - 16;
  into[at + 1] = 500 * (x - y);
  into[at + 2] = 200 * (y - z);
}

/** L*, a*, b* to linear light; what lies outside 0 … 1 is no colour of sRGB. */
export function labToLinear(into: Triple, at: number, lightness: number, a: number, b: number): void {
  const curved = (lightness + 16) / 116;
  const x = labCurveInverse(curved + a / 500) * whiteX;
  const y = labCurveInverse(curved);
  const z = labCurveInverse(curved - b / 200) * whiteZ;
  const m = rgbFromXyz;
  into[at] = m[0] * x + m[1] * y + m[2] * z;
  into[at + 1] = m[3] * x + m[4] * y + m[5] * z;
  into[at + 2] = m[6] * x + m[7] * y + m[8] * z;
}

/** Encoded red, green, blue 0 … 1 to hue in turns from red 0 … 1, saturation and value 0 … 1; the hue of grey is 0. */
export function rgbToHsv(into: Triple, at: number, red: number, green: number, blue: number): void {
  const largest = Math.max(red, green, blue);
  const chroma = largest - Math.min(red, green, blue);
  into[at] = hueOf(red, green, blue, largest, chroma);
  into[at + 1] = largest === 0 ? 0 : chroma / largest;
  into[at + 2] = largest;
}

function hueOf(red: number, green: number, blue: number, largest: number, chroma: number): number {
  if (chroma === 0) return 0;
  if (largest === red) return (green >= blue ? green - blue : green - blue + 6 * chroma) / (6 * chroma);
  return largest === green ? (2 + (blue - red) / chroma) / 6 : (4 + (red - green) / chroma) / 6;
}

/** Light below this share counts as this share, as in scikit-image. */
const leastLight = 1e-6;
const densityUnit = -Math.log(leastLight);

/** How much of its light an encoded value lacks, in units of `leastLight`'s: 0 for white, 1 for black. */
export function densityOf(encoded: number): number {
  return -Math.log(Math.max(encoded, leastLight)) / densityUnit;
}

/** The inverse of `densityOf`. */
export function lightOf(density: number): number {
  return Math.exp(-density * densityUnit);
}

/** Densities of red, green, blue to amounts of haematoxylin, eosin, DAB, which may be negative. */
export function densitiesToHed(into: Triple, at: number, red: number, green: number, blue: number): void {
  const m = hedFromRgb;
  into[at] = red * m[0] + green * m[3] + blue * m[6];
  into[at + 1] = red * m[1] + green * m[4] + blue * m[7];
  into[at + 2] = red * m[2] + green * m[5] + blue * m[8];
}

/** The inverse of `densitiesToHed`. */
export function hedToDensities(into: Triple, at: number, haematoxylin: number, eosin: number, dab: number): void {
  const m = rgbFromHed;
  into[at] = haematoxylin * m[0] + eosin * m[3] + dab * m[6];
  into[at + 1] = haematoxylin * m[1] + eosin * m[4] + dab * m[7];
  into[at + 2] = haematoxylin * m[2] + eosin * m[5] + dab * m[8];
}
