export interface Hsv {
  /** Degrees, 0 (red) to 360. */
  readonly hue: number;
  /** 0 … 255. */
  readonly saturation: number;
  /** 0 … 255: the largest of red, green and blue. */
  readonly value: number;
}

/** Travis 1991; saturation and value as bytes. */
export function hsvOf(r: number, g: number, b: number): Hsv {
  const value = Math.max(r, g, b);
  const range = value - Math.min(r, g, b);
  if (range === 0) return { hue: 0, saturation: 0, value };
  return { hue: hueOf({ r, g, b, value, range }), saturation: Math.round((255 * range) / value), value };
}

interface HueParts {
  readonly r: number;
  readonly g: number;
  readonly b: number;
  readonly value: number;
  readonly range: number;
}

function hueOf({ r, g, b, value, range }: HueParts): number {
  if (value === r) return (60 * ((g - b) / range) + 360) % 360;
  return value === g ? 60 * ((b - r) / range) + 120 : 60 * ((r - g) / range) + 240;
}
