import sharp from "sharp";
import type { RgbImage } from "../image.js";
import "../loaders.js";

/** Lanczos of three lobes, or a mean over boxes where the image shrinks much; the shape may change. */
export async function resizeTo(image: RgbImage, width: number, height: number): Promise<RgbImage> {
  if (image.width === width && image.height === height) return image;
  const { data } = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize(width, height, { fit: "fill", kernel: "lanczos3" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
