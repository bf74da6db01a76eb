import type { ColourProfile } from "@consilium/shared/config/run-config.js";
import type { Random } from "@consilium/shared/random.js";
import type { RgbImage } from "../image.js";
import { jitterStains } from "./hed-jitter.js";
import { jitterRadiograph } from "./radiograph.js";
import type { AugmentationRecipe } from "./recipe.js";
import { attainable, profileOf, transferColours } from "./reinhard.js";
import { type ChannelGains, greyingGains, scaleChannels } from "./shades-of-grey.js";

/** What scanner, stain or camera gave an image, and what of that a view changes. */

type DeviceRecipe = Pick<AugmentationRecipe, "stain" | "radiograph" | "colourConstancy">;

/** Facts of the whole image, which a small crop would tell badly; only those that a recipe uses. */
export interface ImageColours {
  readonly profile?: ColourProfile;
  readonly gains?: ChannelGains;
}

const transfers = ({ stain }: DeviceRecipe): boolean => stain !== undefined && stain.reinhard > 0;

export function imageColours(image: RgbImage, recipes: readonly DeviceRecipe[]): ImageColours {
  return {
    ...(recipes.some(transfers) ? { profile: profileOf(image) } : {}),
    ...(recipes.some(({ colourConstancy }) => colourConstancy) ? { gains: greyingGains(image) } : {}),
  };
}

/** Changes the colours of interleaved red, green, blue in 0 … 1, in place. What is off draws nothing. */
export function changeDevice(
  pixels: Float32Array,
  { recipe, colours }: { recipe: DeviceRecipe; colours: ImageColours },
  random: Random,
): void {
  const { stain, radiograph, colourConstancy } = recipe;
  if (colourConstancy && colours.gains !== undefined) scaleChannels(pixels, colours.gains);
  if (stain !== undefined && transfers(recipe) && random.uniform() < stain.reinhard) {
    const from = colours.profile!;
    const to = attainable({ from, to: stain.profiles[random.integer(stain.profiles.length)]! });
    transferColours(pixels, { from, to });
  }
  if (stain !== undefined && stain.hed > 0) jitterStains(pixels, stain.hed, random);
  if (radiograph !== undefined) jitterRadiograph(pixels, radiograph, random);
}
