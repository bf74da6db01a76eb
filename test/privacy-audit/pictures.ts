import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { randomFor } from "@consilium/shared/random.js";
import sharp from "sharp";
import { imageSize } from "./audited-run.js";

/** RGB, image size² × 3 bytes. */
export type Picture = Uint8Array;

export async function readPicture(file: string): Promise<Picture> {
  return sharp(file).resize(imageSize, imageSize, { fit: "fill" }).removeAlpha().toColourspace("srgb").raw().toBuffer();
}

/** Half the picture, half a pattern that no other has: what is like nobody else's is seen best in a model. */
export function asCanary(picture: Picture, patient: number): Picture {
  const random = randomFor("canary", patient);
  return picture.map((value) => (value + random.integer(256)) >> 1);
}

/** One file for each picture, without loss. @returns the folder */
export async function writePictures(folder: string, pictures: ReadonlyMap<number, Picture>): Promise<string> {
  mkdirSync(folder, { recursive: true });
  for (const [patient, picture] of pictures) {
    const raw = { width: imageSize, height: imageSize, channels: 3 } as const;
    await sharp(picture, { raw })
      .png()
      .toFile(join(folder, `${patient}.png`));
  }
  return folder;
}
