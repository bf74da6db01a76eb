/**
 * Scanners have 0.1 to 1 µm per pixel, thumbnails up to some 100. A TIFF's resolution is often a printer's (300 dots per
 * inch are 85 µm), so that less is believed of it.
 */
const plausible = { least: 0.02, most: 1000, mostOfTiff: 20 } as const;

/** One number for both directions; undefined unless both are plausible and alike, for tiles are square. */
export function squareMicrometres(
  x: number | undefined,
  y: number | undefined = x,
  most: number = plausible.most,
): number | undefined {
  if (x === undefined || y === undefined) return undefined;
  const isPlausible = Math.min(x, y) >= plausible.least && Math.max(x, y) <= most;
  return isPlausible && Math.abs(x / y - 1) <= 0.05 ? (x + y) / 2 : undefined;
}

/** Of TIFF 6.0, ResolutionUnit. */
const micrometresPerUnit: Readonly<Record<string, number>> = {
  ...{ "2": 25_400, inch: 25_400 },
  ...{ "3": 10_000, centimeter: 10_000 },
};

export interface TiffResolution {
  /** Pixels per unit. */
  readonly x?: number;
  readonly y?: number;
  /** TIFF's number or OpenSlide's word. */
  readonly unit?: string;
}

/** XResolution, YResolution and ResolutionUnit (TIFF 6.0, section 8) in µm per pixel. */
export function tiffMicrometres({ x, y, unit }: TiffResolution): number | undefined {
  const micrometres = micrometresPerUnit[unit ?? ""];
  if (micrometres === undefined || x === undefined) return undefined;
  return squareMicrometres(micrometres / x, micrometres / (y ?? x), plausible.mostOfTiff);
}

/** Fields of an Aperio ImageDescription: `… |AppMag = 20|MPP = 0.4990|…`. */
export function aperioField(description: string, name: string): string | undefined {
  for (const field of description.split("|").slice(1)) {
    const [key, value] = field.split("=", 2);
    if (key?.trim() === name && value !== undefined) return value.replaceAll("\0", "").trim();
  }
  return undefined;
}

/** @returns undefined for what is no number */
export function numberIn(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
