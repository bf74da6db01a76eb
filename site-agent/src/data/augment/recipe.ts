import type {
  Modality,
  RadiographAugmentation,
  RunConfig,
  StainAugmentation,
} from "@consilium/shared/config/run-config.js";
import { viewPlan } from "../view-plan.js";
import { appearanceOf } from "./appearances.js";
import type { JitterStrength } from "./colour.js";
import type { Interpolation } from "./resize-crop.js";

/** What happens to an image on its way to a view, with every probability decided. */
export interface AugmentationRecipe {
  /** Share of the image's area that a crop takes, [least, most]; absent: the whole image. */
  readonly cropScale: readonly [number, number] | undefined;
  readonly interpolation: Interpolation;
  readonly horizontalFlip: number;
  readonly verticalFlip: number;
  readonly quarterTurns: number;
  readonly jitter: JitterStrength & { readonly probability: number };
  readonly grayscale: number;
  readonly blur: number;
  /** Standard deviation of the blur in pixels, [least, most]. */
  readonly blurSigma: readonly [number, number];
  /** Radius of the blur's kernel in pixels; absent: three standard deviations. */
  readonly blurRadius: number | undefined;
  readonly solarize: number;
  readonly stain: StainAugmentation | undefined;
  readonly radiograph: RadiographAugmentation | undefined;
  readonly colourConstancy: boolean;
}

export type AugmentationSettings = Pick<RunConfig, "model" | "method" | "modality" | "augmentation">;

type Symmetry = Pick<AugmentationRecipe, "horizontalFlip" | "verticalFlip" | "quarterTurns">;
export type Appearance = Omit<AugmentationRecipe, keyof Symmetry>;

/** Skin and tissue have no upright direction; a chest has, and a heart on one side. */
function symmetryOf(modality: Modality): Symmetry {
  if (modality === "radiograph") return { horizontalFlip: 0, verticalFlip: 0, quarterTurns: 0 };
  return { horizontalFlip: 0.5, verticalFlip: 0.5, quarterTurns: 1 };
}

/** What a view is among those of its method: large crops count from 1, small ones stand together. */
export type ViewRole = { readonly kind: "large"; readonly index: number } | { readonly kind: "small" };

export function roleOf(view: string): ViewRole {
  if (view.startsWith("local")) return { kind: "small" };
  return { kind: "large", index: view.endsWith("2") ? 2 : 1 };
}

/** What a run says of augmentation, as far as it concerns a view. */
function chosen({ augmentation }: AugmentationSettings, role: ViewRole): Partial<AugmentationRecipe> {
  const { cropScale, localCropScale, solarize, blurProbability: _semantics, ...everywhere } = augmentation;
  const own = {
    ...everywhere,
    cropScale: role.kind === "small" ? localCropScale : cropScale,
    solarize: role.kind === "large" && role.index === 2 ? solarize : undefined,
  };
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
}

/**
 * Defaults of the method for one of its views on the modality, overridden key by key by the run's `augmentation`. Flips
 * and quarter turns are for dermatology and pathology only.
 * @param size side of the view, in pixels
 */
export function viewRecipe(settings: AugmentationSettings, view: { name: string; size: number }): AugmentationRecipe {
  const role = roleOf(view.name);
  return {
    ...symmetryOf(settings.modality),
    ...appearanceOf(settings, role, view.size),
    ...chosen(settings, role),
  };
}

/** The recipe of every view that is an image, by name. */
export function viewRecipes(settings: AugmentationSettings): ReadonlyMap<string, AugmentationRecipe> {
  const images = viewPlan(settings).filter(({ kind }) => kind === "pixels");
  return new Map(images.map((view) => [view.name, viewRecipe(settings, view)]));
}
