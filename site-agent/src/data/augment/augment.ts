import type { Random } from "@consilium/shared/random.js";
import type { RgbImage } from "../image.js";
import { gaussianBlur } from "./blur.js";
import { jitterColour, toGrayscale } from "./colour.js";
import { randomBox, wholeImage } from "./crop.js";
import { type Orientation, orient } from "./flips.js";
import { toBytes } from "./quantise.js";
import { type AugmentationRecipe, type AugmentationSettings, augmentationRecipe } from "./recipe.js";
import { resizeCrop } from "./resize-crop.js";

/** One view of an image: 0 … 255, [imageSize, imageSize, 3], decided by the generator alone. */
export type Augmenter = (image: RgbImage, random: Random, view: string) => Uint8Array<ArrayBuffer>;

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

function maybeBlur(pixels: Float32Array, { blur, size }: { blur: number; size: number }, random: Random): Float32Array {
  if (random.uniform() >= blur) return pixels;
  const sigma = leastBlur + (mostBlur - leastBlur) * random.uniform();
  return gaussianBlur(pixels, (sigma * size) / blurReferenceSize);
}

/**
 * Crop and resize, flips and turns, colour jitter, grayscale, blur. All views of a method follow the same recipe. The
 * changes are computed on real numbers, as torchvision defines them for float images, and rounded to 8 bits once at the
 * end; libraries that keep 8-bit images between the changes round after each, and differ by a few levels.
 */
export function createAugmenter(config: AugmentationSettings): Augmenter {
  const recipe = augmentationRecipe(config);
  const size = config.model.imageSize;
  return (image, random) => {
    const box = randomBox(image, recipe.cropScale, random);
    let pixels = resizeCrop({ image, box, size, interpolation: recipe.interpolation });
    pixels = maybeOrient(pixels, recipe, random);
    if (random.uniform() < recipe.jitter.probability) jitterColour(pixels, recipe.jitter, random);
    if (random.uniform() < recipe.grayscale) toGrayscale(pixels);
    pixels = maybeBlur(pixels, { blur: recipe.blur, size }, random);
    return toBytes(pixels);
  };
}

/** The whole image in another size, for evaluation: 0 … 255, [size, size, 3]; its ratio is not kept. */
export function plainView(image: RgbImage, size: number): Uint8Array<ArrayBuffer> {
  return toBytes(resizeCrop({ image, box: wholeImage(image), size, interpolation: "bicubic" }));
}
