import type { Random } from "@consilium/shared/random.js";
import type { RgbImage } from "../image.js";
import { corrupted, corruptionMap, type View, viewPlan } from "../view-plan.js";
import { gaussianBlur } from "./blur.js";
import { jitterColour, solarize, toGrayscale } from "./colour.js";
import { type CorruptionRule, corruptBlocks } from "./corruption.js";
import { randomBox, wholeImage } from "./crop.js";
import { changeDevice, type ImageColours, imageColours } from "./device-colours.js";
import type { Orientation } from "./flips.js";
import { toBytes } from "./quantise.js";
import { type AugmentationRecipe, type AugmentationSettings, viewRecipes } from "./recipe.js";
import { resizeCrop } from "./resize-crop.js";

/**
 * All arrays of an image, 0 … 255, in the order of the method's views, decided by the generators alone.
 * @param randomOf a generator for each array, by its name
 */
export type Augmenter = (image: RgbImage, randomOf: (view: string) => Random) => Uint8Array<ArrayBuffer>[];

interface Canvas {
  readonly size: number;
  /** Memory for the view while it is made: [size, size, 3]. */
  readonly pixels: Float32Array;
  /** Of the whole image. */
  readonly colours: ImageColours;
  readonly random: Random;
}

function drawOrientation(recipe: AugmentationRecipe, random: Random): Orientation {
  const mirrored = random.uniform() < recipe.horizontalFlip;
  const flipped = random.uniform() < recipe.verticalFlip;
  const quarterTurns = random.uniform() < recipe.quarterTurns ? random.integer(4) : 0;
  return { mirrored, flipped, quarterTurns };
}

function blur(
  pixels: Float32Array,
  { blurSigma: [least, most], blurRadius }: AugmentationRecipe,
  random: Random,
): void {
  const sigma = least + (most - least) * random.uniform();
  gaussianBlur(pixels, { sigma, radius: blurRadius });
}

/**
 * One view: crop and resize, flips and turns, colours of device and stain, colour jitter, grayscale, blur, solarisation.
 * The changes are computed on real numbers, as torchvision defines them for float images, and rounded to 8 bits once at
 * the end; libraries that keep 8-bit images between the changes round after each, and differ by a few levels.
 */
function makeView(image: RgbImage, recipe: AugmentationRecipe, { size, pixels, colours, random }: Canvas) {
  const { cropScale, interpolation, jitter } = recipe;
  const box = cropScale === undefined ? wholeImage(image) : randomBox(image, cropScale, random);
  const orientation = drawOrientation(recipe, random);
  resizeCrop({ image, box, size, interpolation, orientation, into: pixels });
  changeDevice(pixels, { recipe, colours }, random);
  if (random.uniform() < jitter.probability) jitterColour(pixels, jitter, random);
  if (random.uniform() < recipe.grayscale) toGrayscale(pixels);
  if (random.uniform() < recipe.blur) blur(pixels, recipe, random);
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
  // One for each size, as views are made one after the other.
  const canvases = new Map(images.map(({ size }) => [size, new Float32Array(size * size * 3)]));
  return (image, randomOf) => {
    const made = new Map<string, Uint8Array<ArrayBuffer>>();
    const colours = imageColours(image, [...recipes.values()]);
    for (const { name, size } of images) {
      const canvas = { size, pixels: canvases.get(size)!, colours, random: randomOf(name) };
      const pixels = makeView(image, recipes.get(name)!, canvas);
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
