import sharp from "sharp";
import type { RgbImage } from "./image.js";

/** A small JPEG of an image, to stand in a page itself. @param side longest, in pixels */
export async function thumbnailUri({ width, height, data }: RgbImage, side: number): Promise<string> {
  const jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(side, side, { fit: "inside", withoutEnlargement: true })
    .jpeg({ quality: 80 })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString("base64")}`;
}
