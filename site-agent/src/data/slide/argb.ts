export interface Colour {
  readonly r: number;
  readonly g: number;
  readonly b: number;
}

export const white: Colour = { r: 255, g: 255, b: 255 };

/** @param hex six hexadecimal digits, as in OpenSlide's `openslide.background-color` */
export function colourOf(hex: string | undefined): Colour {
  if (hex === undefined || !/^[0-9a-f]{6}$/i.test(hex)) return white;
  const value = Number.parseInt(hex, 16);
  return { r: value >> 16, g: (value >> 8) & 255, b: value & 255 };
}

/** Pixels with premultiplied alpha, laid on a background: interleaved red, green, blue. */
export function onBackground(argb: Uint32Array, background: Colour): Uint8Array {
  const rgb = new Uint8Array(argb.length * 3);
  for (let pixel = 0, at = 0; pixel < argb.length; pixel++, at += 3) {
    const value = argb[pixel]!;
    const uncovered = 255 - (value >>> 24);
    rgb[at] = (value >>> 16) & 255;
    rgb[at + 1] = (value >>> 8) & 255;
    rgb[at + 2] = value & 255;
    if (uncovered > 0) addBackground(rgb, at, uncovered / 255, background);
  }
  return rgb;
}

function addBackground(rgb: Uint8Array, at: number, share: number, { r, g, b }: Colour): void {
  rgb[at] = Math.min(255, rgb[at]! + Math.round(share * r));
  rgb[at + 1] = Math.min(255, rgb[at + 1]! + Math.round(share * g));
  rgb[at + 2] = Math.min(255, rgb[at + 2]! + Math.round(share * b));
}
