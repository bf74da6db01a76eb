import type { Random } from "@consilium/shared/random.js";
import type { RgbImage } from "../image.js";
import { corrupted, corruptionMap, type View, viewPlan } from "../view-plan.js";
import { gaussianBlur } from "./blur.js";
import { jitterColour, solarize, toGrayscale } from "./colour.js";
import { type CorruptionRule, corruptBlocks } from "./corruption.js";
import { randomBox, wholeImage } from "./crop.js";
import { type Orientation, orient } from "./flips.js";
import { toBytes } from "./quantise.js";
import { type AugmentationRecipe, type AugmentationSettings, viewRecipes } from "./recipe.js";
import { resizeCrop } from "./resize-crop.js";

/**
 * All arrays of an image, 0 … 255, in the order of the method's views, decided by the generators alone.
 * @param randomOf a generator for each array, by its name
 */
export type Augmenter = (image: RgbImage, randomOf: (view: string) => Random) => Uint8Array<ArrayBuffer>[];

/** Pixels of the image size for which blur is described. */
const blurReferenceSize = 224;
const leastBlur = 0.1;
const mostBlur = 2;

function drawOrientation(recipe: AugmentationRecipe, random: Random): Orientation {
  const mirrored = random.uniform() < recipe.horizontalFlip;
  const flipped = random.uniform() < recipe.verticalFlip;
  const turns = random.uniform() < recipe.quarterTurns ? random.integer(4) : 0;
  return { mirrored, flipped, quarterTurns: turns };
}

function maybeOrient(pixels: Float32Array, recipe: AugmentationRecipe, random: Random): Float32Array {
  const orientation = drawOrientation(recipe, random);
  const upright = !orientation.mirrored && !orientation.flipped && orientation.quarterTurns === 0;
  return upright ? pixels : orient(pixels, orientation);
}

function maybeBlur(
  pixels: Float32Array,
  { recipe, size }: { recipe: AugmentationRecipe; size: number },
  random: Random,
): Float32Array {
  if (random.uniform() >= recipe.blur) return pixels;
  const sigma = leastBlur + (mostBlur - leastBlur) * random.uniform();
  const scale = size / blurReferenceSize;
  const radius = recipe.blurRadius === undefined ? undefined : Math.max(1, Math.round(recipe.blurRadius * scale));
  return gaussianBlur(pixels, sigma * scale, radius);
}

/**
 * One view: crop and resize, flips and turns, colour jitter, grayscale, blur, solarisation. The changes are computed on
 * real numbers, as torchvision defines them for float images, and rounded to 8 bits once at the end; libraries that keep
 * 8-bit images between the changes round after each, and differ by a few levels.
 */
function makeView(image: RgbImage, recipe: AugmentationRecipe, { size, random }: { size: number; random: Random }) {
  const { cropScale, interpolation } = recipe;
  const box = cropScale === undefined ? wholeImage(image) : randomBox(image, cropScale, random);
  let pixels = resizeCrop({ image, box, size, interpolation });
  pixels = maybeOrient(pixels, recipe, random);
  if (random.uniform() < recipe.jitter.probability) jitterColour(pixels, recipe.jitter, random);
  if (random.uniform() < recipe.grayscale) toGrayscale(pixels);
  pixels = maybeBlur(pixels, { recipe, size }, random);
  if (recipe.solarize > 0 && random.uniform() < recipe.solarize) solarize(pixels);
  return toBytes(pixels);
}

function corruptionRule({ method }: AugmentationSettings): CorruptionRule | undefined {
  return method.name === "gmml" || method.name === "sit" ? method : undefined;
}

/** What a run's method wants of every image. */
export function createAugmenter(settings: AugmentationSettings): Augmenter {
  const recipes = viewRecipes(settings);
  const rule = corruptionRule(settings);
  const views = viewPlan(settings);
  const images = views.filter(({ name }) => recipes.has(name));
  return (image, randomOf) => {
    const made = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const { name, size } of images) {
      const pixels = makeView(image, recipes.get(name)!, { size, random: randomOf(name) });
      made.set(name, pixels);
      if (rule !== undefined) addCorrupted(made, { name, pixels, rule, random: randomOf(corrupted(name)) });
    }
    return views.map(({ name }) => made.get(name)!);
  };
}

interface Corruptible {
  readonly name: View["name"];
  readonly pixels: Uint8Array;
  readonly rule: CorruptionRule;
  readonly random: Random;
}

function addCorrupted(made: Map<string, Uint8Array<ArrayBuffer>>, { name, pixels, rule, random }: Corruptible): void {
  const result = corruptBlocks(pixels, rule, random);
  made.set(corrupted(name), result.pixels);
  made.set(corruptionMap(name), result.map);
}

/** The whole image in another size, for evaluation: 0 … 255, [size, size, 3]; its ratio is not kept. */
export function plainView(image: RgbImage, size: number): Uint8Array<ArrayBuffer> {
  return toBytes(resizeCrop({ image, box: wholeImage(image), size, interpolation: "bicubic" }));
}
