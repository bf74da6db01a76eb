import type { Random } from "@consilium/shared/random.js";
import type { RgbImage } from "../image.js";

/** A part of an image, in pixels. */
export interface CropBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Ratios of width to height that a crop may have. */
const narrowest = 3 / 4;
const widest = 4 / 3;
const tries = 10;

type Extent = Pick<RgbImage, "width" | "height">;

export function wholeImage({ width, height }: Extent): CropBox {
  return { left: 0, top: 0, width, height };
}

/** The largest centred box with an allowed ratio; what stays when no draw fits a very narrow image. */
function centralBox({ width, height }: Extent): CropBox {
  const ratio = Math.min(widest, Math.max(narrowest, width / height));
  const boxWidth = Math.min(width, Math.round(height * ratio));
  const boxHeight = Math.min(height, Math.round(width / ratio));
  return {
    left: Math.floor((width - boxWidth) / 2),
    top: Math.floor((height - boxHeight) / 2),
    width: boxWidth,
    height: boxHeight,
  };
}

/** A box of random area and ratio, as torchvision's RandomResizedCrop draws it. `scale` is a share of the area. */
export function randomBox(image: Extent, scale: readonly [number, number], random: Random): CropBox {
  const [least, most] = scale;
  for (let draw = 0; draw < tries; draw++) {
    const area = image.width * image.height * (least + (most - least) * random.uniform());
    const ratio = narrowest * (widest / narrowest) ** random.uniform();
    const width = Math.round(Math.sqrt(area * ratio));
    const height = Math.round(Math.sqrt(area / ratio));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const top = random.integer(image.height - height + 1);
    return { left: random.integer(image.width - width + 1), top, width, height };
  }
  return centralBox(image);
}
