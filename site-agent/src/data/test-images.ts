import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import sharp, { type Sharp } from "sharp";

/** Generated images for tests: a smooth pattern that differs with `seed`, so that decoders and crops have something to see. */
export function pattern(width: number, height: number, seed = 0): Sharp {
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      data[at] = (x * 5 + seed * 37) % 256;
      data[at + 1] = (y * 3 + seed * 11) % 256;
      data[at + 2] = ((x + y) * 2 + seed * 71) % 256;
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

export function flat(width: number, height: number, [r, g, b]: readonly [number, number, number]): Sharp {
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
}

export async function put(folder: string, id: string, content: Sharp | Uint8Array | string): Promise<void> {
  const path = join(folder, id);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(
    path,
    typeof content === "string" || content instanceof Uint8Array ? content : await content.toBuffer(),
  );
}

/** Writes `count` PNG images, 0.png and so on. */
export async function putPatterns(folder: string, count: number, side = 40): Promise<void> {
  for (let index = 0; index < count; index++) {
    await put(folder, `${String(index).padStart(3, "0")}.png`, pattern(side, side, index).png());
  }
}
