/** Scanners have 0.1 to 1 µm per pixel; what is far from that is a printer's resolution or a mistake. */
const plausible = { least: 0.02, most: 20 } as const;

/** @returns the value in µm per pixel, or undefined where no microscope has it */
export function plausibleMicrometres(value: number | undefined): number | undefined {
  return value !== undefined && value >= plausible.least && value <= plausible.most ? value : undefined;
}

/** One number for both directions; undefined unless both are plausible and alike, for tiles are square. */
export function squareMicrometres(x: number | undefined, y: number | undefined): number | undefined {
  const [across, down] = [plausibleMicrometres(x), plausibleMicrometres(y ?? x)];
  if (across === undefined || down === undefined || Math.abs(across / down - 1) > 0.05) return undefined;
  return (across + down) / 2;
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
  return squareMicrometres(micrometres / x, y === undefined ? undefined : micrometres / y);
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
