import type { Modality, RunConfig } from "@consilium/shared/config/run-config.js";
import type { JitterStrength } from "./colour.js";
import type { Interpolation } from "./resize-crop.js";

/** What happens to an image on its way to a view, with every probability decided. */
export interface AugmentationRecipe {
  /** Share of the image's area that a crop takes, [least, most]. */
  readonly cropScale: readonly [number, number];
  readonly interpolation: Interpolation;
  readonly horizontalFlip: number;
  readonly verticalFlip: number;
  readonly quarterTurns: number;
  readonly jitter: JitterStrength & { readonly probability: number };
  readonly grayscale: number;
  readonly blur: number;
}

export type AugmentationSettings = Pick<RunConfig, "model" | "method" | "modality" | "augmentation">;

type Symmetry = Pick<AugmentationRecipe, "horizontalFlip" | "verticalFlip" | "quarterTurns">;
type Appearance = Omit<AugmentationRecipe, keyof Symmetry>;

/** Below this side, blur would wipe out what a patch shows and small crops would hold a few pixels. */
const smallImage = 96;

/** Skin and tissue have no upright direction; a chest has, and a heart on one side. */
function symmetryOf(modality: Modality): Symmetry {
  if (modality === "radiograph") return { horizontalFlip: 0, verticalFlip: 0, quarterTurns: 0 };
  return { horizontalFlip: 0.5, verticalFlip: 0.5, quarterTurns: 1 };
}

/** Chen et al. 2020 at strength 1. Radiographs have no colour, and their grey level carries meaning: half the strength. */
function contrastive(modality: Modality, imageSize: number): Appearance {
  const small = imageSize < smallImage;
  const colourless = modality === "radiograph";
  const jitter = colourless
    ? { brightness: 0.4, contrast: 0.4, saturation: 0, hue: 0, probability: 0.8 }
    : { brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2, probability: 0.8 };
  return {
    cropScale: small ? [0.2, 1] : [0.08, 1],
    interpolation: "bilinear",
    jitter,
    grayscale: colourless ? 0 : 0.2,
    blur: small ? 0 : 1,
  };
}

const reconstructive: Appearance = {
  cropScale: [0.2, 1],
  interpolation: "bicubic",
  jitter: { brightness: 0, contrast: 0, saturation: 0, hue: 0, probability: 0 },
  grayscale: 0,
  blur: 0,
};

/**
 * Defaults of the method on the modality, overridden key by key by the run's `augmentation`.
 * SimCLR: crops of 8 to 100 % of the area (20 to 100 % below 96 pixels), strong colour jitter, grayscale, blur always.
 * Blur is off by default below 96 pixels and happens there only when the run asks for it.
 * MAE: crops of 20 to 100 %, nothing else. Both: flips and quarter turns for dermatology and pathology only.
 */
export function augmentationRecipe({
  model,
  method,
  modality,
  augmentation,
}: AugmentationSettings): AugmentationRecipe {
  const appearance = method.name === "simclr" ? contrastive(modality, model.imageSize) : reconstructive;
  const chosen = Object.entries(augmentation).filter(([, value]) => value !== undefined);
  return { ...symmetryOf(modality), ...appearance, ...Object.fromEntries(chosen) };
}
