import type { Hsv } from "./hsv.js";

export const penColours = ["blue", "green", "red", "black"] as const;
export type PenColour = (typeof penColours)[number];

/**
 * Ink of a marker on the glass, by its colour: far more saturated or darker than stained tissue at a resolution of
 * about 10 µm. Haematoxylin is violet (250° to 300°) or pale blue, eosin pink (300° to 350°), DAB brown (15° to 40°).
 */
export function penColourOf({ hue, saturation, value }: Hsv): PenColour | undefined {
  if (value <= 60 && saturation <= 110) return "black";
  if (hue >= 70 && hue < 190) return saturation >= 70 ? "green" : undefined;
  if (hue >= 190 && hue <= 248) return saturation >= 120 ? "blue" : undefined;
  return (hue <= 12 || hue >= 350) && saturation >= 165 ? "red" : undefined;
}
