import type { MethodOf } from "@consilium/shared/config/method-config.js";
import type { Random } from "@consilium/shared/random.js";

/** Group masks of GMML and SiT (Atito et al. 2021): blocks of pixels that are corrupted and have to be restored. */

/** What stands in a map beside the corrupted image. */
export const corruptionCodes = {
  clean: 0,
  /** Corrupted; a pixel value like any other, from elsewhere in the image. */
  copied: 1,
  /** Corrupted; the byte v stands for the normalised value (v − 127.5) × `noiseScale`. */
  noise: 2,
  /** Corrupted; the method takes the pixels of another image of the batch. */
  alien: 3,
  /** Corrupted; zero after normalisation. */
  zero: 4,
} as const;

/** Of noise: bytes reach five standard deviations on both sides. */
export const noiseScale = 10 / 255;

export type CorruptionRule = Pick<MethodOf<"gmml">, "dropShare" | "align" | "maxBlockShare" | "fills" | "alienShare">;

export interface Corrupted {
  /** [size, size, 3] */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** [size, size]: one of `corruptionCodes` for each pixel. */
  readonly map: Uint8Array<ArrayBuffer>;
}

interface Block {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/**
 * A place on the grid of `align` pixels, and sides among its multiples from `align` to the largest block: so a block
 * covers at most the square of `maxBlockShare`.
 */
function drawBlock(size: number, { align, maxBlockShare }: CorruptionRule, random: Random): Block {
  const place = (): number => align * random.integer(Math.ceil(size / align));
  const longest = Math.max(align, Math.floor(maxBlockShare * size));
  const side = (): number => {
    const steps = Math.round((align + random.integer(longest - align + 1)) / align);
    return align * Math.min(steps, Math.floor(longest / align));
  };
  const [top, left] = [place(), place()];
  return { top, left, height: Math.min(side(), size - top), width: Math.min(side(), size - left) };
}

interface Canvas extends Corrupted {
  readonly size: number;
  readonly clean: Uint8Array;
}

type Fill = CorruptionRule["fills"][number] | "alien";

/** Fills one block and marks it. @returns how many pixels are newly corrupted */
function corrupt(canvas: Canvas, block: Block, fill: Fill, random: Random): number {
  const { size, map } = canvas;
  const source = fill === "copy" ? elsewhere(block, size, random) : block;
  let fresh = 0;
  for (let row = 0; row < block.height; row++) {
    for (let column = 0; column < block.width; column++) {
      const at = (block.top + row) * size + block.left + column;
      if (map[at] === corruptionCodes.clean) fresh++;
      fillPixel(canvas, { at, from: (source.top + row) * size + source.left + column }, fill, random);
    }
  }
  return fresh;
}

/** Another place for a block of the same extent. */
function elsewhere({ height, width }: Block, size: number, random: Random): Block {
  return { height, width, top: random.integer(size - height + 1), left: random.integer(size - width + 1) };
}

function fillPixel(
  { pixels, map, clean }: Canvas,
  { at, from }: { at: number; from: number },
  fill: Fill,
  random: Random,
): void {
  for (let channel = 0; channel < 3; channel++) {
    if (fill === "noise") pixels[3 * at + channel] = noiseByte(random.normal());
    else pixels[3 * at + channel] = clean[3 * from + channel]!;
  }
  map[at] = codeOf(fill);
}

function codeOf(fill: Fill): number {
  if (fill === "noise") return corruptionCodes.noise;
  if (fill === "alien") return corruptionCodes.alien;
  return fill === "zeros" ? corruptionCodes.zero : corruptionCodes.copied;
}

function noiseByte(value: number): number {
  return Math.min(255, Math.max(0, Math.round(value / noiseScale + 127.5)));
}

/**
 * Corrupts blocks until their union reaches the drawn share of the image: between the smaller of a half and `dropShare`,
 * and `dropShare`. The fill is chosen once for the image. With probability 1 / (fills + 1), where `alienShare` is not
 * zero, the image has blocks of another image over that share instead.
 * @param clean [size, size, 3]; stays as it is
 */
export function corruptBlocks(clean: Uint8Array, rule: CorruptionRule, random: Random): Corrupted {
  const size = Math.round(Math.sqrt(clean.length / 3));
  const { fills, dropShare, alienShare } = rule;
  const isAlien = random.uniform() < 1 / (fills.length + 1) && alienShare > 0;
  const least = Math.min(0.5, dropShare);
  const share = isAlien ? alienShare : least + (dropShare - least) * random.uniform();
  const fill: Fill = isAlien ? "alien" : (fills[random.integer(fills.length)] ?? "noise");
  const canvas: Canvas = { size, clean, pixels: new Uint8Array(clean), map: new Uint8Array(size * size) };
  for (let area = 0; area < share * size * size; ) {
    area += corrupt(canvas, drawBlock(size, rule, random), fill, random);
  }
  return { pixels: canvas.pixels, map: canvas.map };
}
