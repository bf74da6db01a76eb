import type { AugmentationSettings } from "./augment/recipe.js";
import { viewRecipes } from "./augment/recipe.js";
import type { DataSettings } from "./data-settings.js";
import { viewPlan } from "./view-plan.js";

/**
 * Short side, in pixels, that a run's images are decoded to where a site does not say: twice the image size, and enough
 * that the smallest of the small crops need not be enlarged. Large crops of a small share are: at twice the image size
 * those below a quarter of the area.
 */
export function workingSizeFor(config: AugmentationSettings): number {
  const recipes = viewRecipes(config);
  const enough = viewPlan(config).map(({ name, size }) => {
    const scale = name.startsWith("local") ? recipes.get(name)?.cropScale : undefined;
    return scale === undefined ? 0 : Math.ceil(size / Math.sqrt(scale[0]));
  });
  return Math.max(2 * config.model.imageSize, ...enough);
}

/** A site's settings with the working size that the run wants, unless they name one. */
export function withWorkingSize(settings: DataSettings, config: AugmentationSettings): DataSettings {
  return { ...settings, workingSize: settings.workingSize ?? workingSizeFor(config) };
}
