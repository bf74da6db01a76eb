import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeFile } from "./decode.js";
import type { RgbImage } from "./image.js";
import type { UnreadableReason } from "./source.js";
import { flat, pattern, put } from "./test-images.js";

const limits = { maxPixels: 1_000_000, maxFileBytes: 1_000_000 };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "decode-"));
});
afterAll(() => rm(folder, { recursive: true }));

function decode(id: string, workingSize = 500, over: Partial<typeof limits> = {}): Promise<RgbImage> {
  return decodeFile(join(folder, id), { id, workingSize, limits: { ...limits, ...over } });
}

const pixel = ({ data, width }: RgbImage, x: number, y: number): number[] => {
  const at = (y * width + x) * 3;
  return [...data.subarray(at, at + 3)];
};

describe("decodeFile", () => {
  it("keeps every pixel of a lossless image that is small enough", async () => {
    await put(folder, "exact.png", pattern(30, 20, 3).png());
    const expected = await pattern(30, 20, 3).raw().toBuffer();
    const image = await decode("exact.png");
    expect([image.width, image.height]).toEqual([30, 20]);
    expect(Buffer.from(image.data).equals(expected)).toBe(true);
  });

  it("shrinks the short side to the working size and never enlarges", async () => {
    await put(folder, "wide.jpg", pattern(300, 200).jpeg());
    expect(await decode("wide.jpg", 50)).toMatchObject({ width: 75, height: 50 });
    expect(await decode("wide.jpg", 250)).toMatchObject({ width: 300, height: 200 });
  });

  it("stands images upright that were taken sideways", async () => {
    const left = { input: await flat(10, 20, [255, 0, 0]).png().toBuffer(), left: 0, top: 0 };
    const sideways = flat(40, 20, [0, 0, 255]).composite([left]).withMetadata({ orientation: 6 });
    await put(folder, "sideways.jpg", sideways.jpeg({ quality: 100, chromaSubsampling: "4:4:4" }));
    const image = await decode("sideways.jpg");
    expect([image.width, image.height]).toEqual([20, 40]);
    expect(pixel(image, 10, 2)[0]).toBeGreaterThan(240);
    expect(pixel(image, 10, 35)[2]).toBeGreaterThan(240);
  });

  const grey16 = new Uint16Array(600).fill(0x8000);
  it.each([
    ["grey.png", sharp(Buffer.alloc(600, 77), { raw: { width: 30, height: 20, channels: 1 } }).png(), [77, 77, 77], 0],
    [
      "grey16.png",
      sharp(grey16, { raw: { width: 30, height: 20, channels: 1 } })
        .toColourspace("grey16")
        .png(),
      [128, 128, 128],
      0,
    ],
    ["rgb16.png", flat(30, 20, [200, 100, 50]).toColourspace("rgb16").png(), [200, 100, 50], 1],
    ["palette.png", flat(30, 20, [200, 100, 50]).png({ palette: true }), [200, 100, 50], 0],
    ["transparent.png", flat(30, 20, [200, 100, 50]).ensureAlpha(0.5).png(), [100, 50, 25], 1],
    ["a.webp", flat(30, 20, [200, 100, 50]).webp({ lossless: true }), [200, 100, 50], 0],
    ["a.tiff", flat(30, 20, [200, 100, 50]).tiff({ compression: "lzw" }), [200, 100, 50], 0],
    ["cmyk.jpg", flat(30, 20, [200, 100, 50]).toColourspace("cmyk").jpeg({ quality: 100 }), [200, 100, 50], 32],
  ] as const)("brings %s to 8-bit RGB", async (id, made, expected, tolerance) => {
    await put(folder, id, made);
    const image = await decode(id);
    expect(image.data.length).toBe(30 * 20 * 3);
    for (const [band, value] of pixel(image, 15, 10).entries()) {
      expect(Math.abs(value - expected[band]!)).toBeLessThanOrEqual(tolerance);
    }
  });

  it("takes the first page of an image with several", async () => {
    const pages = sharp(
      [await flat(30, 20, [9, 9, 9]).png().toBuffer(), await flat(30, 20, [99, 9, 9]).png().toBuffer()],
      {
        join: { animated: true },
      },
    );
    await put(folder, "pages.webp", pages.webp({ lossless: true }));
    const image = await decode("pages.webp");
    expect([image.width, image.height, ...pixel(image, 5, 5)]).toEqual([30, 20, 9, 9, 9]);
  });
});

describe("decodeFile on files that are no good", () => {
  const reasons: readonly [string, () => Promise<Uint8Array | string>, UnreadableReason][] = [
    ["empty.jpg", async () => "", "empty"],
    ["text.jpg", async () => "hello", "unsupported-format"],
    ["picture.jpg", async () => '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "unsupported-format"],
    ["cut.jpg", async () => half(await pattern(300, 200).jpeg().toBuffer()), "truncated"],
    ["cut.png", async () => half(await pattern(300, 200).png().toBuffer()), "damaged"],
    ["cut.tif", async () => half(await pattern(300, 200).tiff().toBuffer()), "damaged"],
    ["cut.webp", async () => half(await pattern(300, 200).webp().toBuffer()), "damaged"],
    ["changed.png", async () => flipped(await pattern(300, 200).png().toBuffer()), "damaged"],
  ];

  it.each(reasons)("says of %s why", async (id, content, reason) => {
    await put(folder, id, await content());
    await expect(decode(id)).rejects.toMatchObject({ id, reason, message: expect.not.stringContaining(id) });
  });

  it("refuses what is beyond the limits before it decodes", async () => {
    await put(folder, "large.png", pattern(300, 200).png());
    await expect(decode("large.png", 50, { maxPixels: 1000 })).rejects.toMatchObject({ reason: "too-many-pixels" });
    await expect(decode("large.png", 50, { maxFileBytes: 10 })).rejects.toMatchObject({ reason: "file-too-large" });
  });

  it("tells a missing file from a storage that fails", async () => {
    await expect(decode("none.png")).rejects.toMatchObject({ reason: "missing", code: "input-unreadable" });
  });

  it("refuses samples that have no defined way to 8 bits", async () => {
    await put(folder, "float.tif", floatTiff(0.5));
    await expect(decode("float.tif")).rejects.toMatchObject({
      reason: "unsupported-pixels",
      code: "input-unsupported",
    });
  });
});

function half(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length >> 1);
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length >> 1]! ^= 0xff;
  return copy;
}

/** One grey pixel as a 32-bit float, which sharp reads but does not write: a TIFF of one directory. */
function floatTiff(value: number): Uint8Array {
  const tags: readonly (readonly [tag: number, value: number])[] = [
    [256, 1], // width
    [257, 1], // height
    [258, 32], // bits per sample
    [259, 1], // no compression
    [262, 1], // black is zero
    [273, 8], // where the pixel is
    [277, 1], // samples per pixel
    [278, 1], // rows per strip
    [279, 4], // bytes in the strip
    [339, 3], // samples are floats
  ];
  const bytes = Buffer.alloc(12 + 2 + tags.length * 12 + 4);
  bytes.write("II*\0", "latin1");
  bytes.writeUInt32LE(12, 4);
  bytes.writeFloatLE(value, 8);
  bytes.writeUInt16LE(tags.length, 12);
  for (const [index, [tag, content]] of tags.entries()) {
    const at = 14 + index * 12;
    bytes.writeUInt16LE(tag, at);
    bytes.writeUInt16LE(4, at + 2);
    bytes.writeUInt32LE(1, at + 4);
    bytes.writeUInt32LE(content, at + 8);
  }
  return bytes;
}
