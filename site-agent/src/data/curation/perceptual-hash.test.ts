import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { pattern } from "../test-images.js";
import { hashBytes, hashDistance, nearDistance, nearDuplicates, perceptualHash } from "./perceptual-hash.js";

async function decoded(bytes: Buffer, side?: number): Promise<RgbImage> {
  const image = side === undefined ? sharp(bytes) : sharp(bytes).resize(side, side, { fit: "fill" });
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: new Uint8Array(data) };
}

/** A smooth scene that differs with the seed. */
const scene = (seed: number): Promise<Buffer> => {
  const [width, height] = [120, 90];
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value =
        128 + 60 * Math.sin((x * (1 + (seed % 5))) / 19 + seed) + 60 * Math.cos((y * (1 + (seed % 3))) / 13 - seed);
      data.fill(Math.round(value), (y * width + x) * 3, (y * width + x) * 3 + 3);
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
};

describe("perceptualHash()", () => {
  it("is near for other sizes and qualities of one image, and far for another", async () => {
    const original = await scene(1);
    const hash = perceptualHash(await decoded(original));
    expect(hash).toHaveLength(hashBytes);
    const poor = await sharp(original).jpeg({ quality: 30 }).toBuffer();
    expect(hashDistance(hash, perceptualHash(await decoded(poor)))).toBeLessThanOrEqual(nearDistance);
    expect(hashDistance(hash, perceptualHash(await decoded(original, 64)))).toBeLessThanOrEqual(nearDistance);
    expect(hashDistance(hash, perceptualHash(await decoded(await scene(7))))).toBeGreaterThan(20);
  });

  it("takes images that are smaller than its grid", async () => {
    const tiny = await decoded(await pattern(3, 2).png().toBuffer());
    expect(perceptualHash(tiny)).toHaveLength(hashBytes);
  });
});

describe("nearDuplicates()", () => {
  it("finds every pair within the distance that chance makes", () => {
    const hashes = Buffer.alloc(hashBytes * 6);
    hashes.fill(0xaa, 0, 16);
    hashes.fill(0x0f, 16, 32);
    hashes.fill(0xaa, 32, 48);
    hashes[32]! ^= 1;
    hashes[40]! ^= 0b1011;
    hashes.fill(0x33, 48, 64);
    hashes.fill(0x0f, 64, 80);
    hashes.fill(0x71, 80, 96);
    expect(nearDuplicates(hashes)).toEqual([
      [0, 2],
      [1, 4],
    ]);
  });

  it("ends on many equal images", () => {
    const count = 50_000;
    const groups = nearDuplicates(new Uint8Array(count * hashBytes));
    expect(groups).toHaveLength(1);
    expect(groups[0]).toHaveLength(count);
  });
});
