import sharp, { type Sharp } from "sharp";
import { pattern } from "../test-images.js";
import { madeTiff } from "./made-tiff.js";

/** Files in every form that a folder of photos may hold, made from one seeded pattern. */

const [width, height] = [24, 16];
const picture = (): Sharp => pattern(width, height, 5);

/** Red, green and blue of the pattern, with alpha falling from left to right. */
async function translucent(): Promise<Sharp> {
  const rgb = await picture().raw().toBuffer();
  const rgba = Buffer.alloc(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    rgb.copy(rgba, 4 * i, 3 * i, 3 * i + 3);
    rgba[4 * i + 3] = 255 - 10 * (i % width);
  }
  return sharp(rgba, { raw: { width, height, channels: 4 } });
}

/** One band, wide samples. */
function grey16(): Sharp {
  const samples = Uint16Array.from({ length: width * height }, (_, i) => (i * 171) % 65536);
  return sharp(samples, { raw: { width, height, channels: 1 } }).toColourspace("grey16");
}

function rgb16(): Sharp {
  const samples = Uint16Array.from({ length: width * height * 3 }, (_, i) => (i * 57) % 65536);
  return sharp(samples, { raw: { width, height, channels: 3 } }).toColourspace("rgb16");
}

/** Few colours, so that a palette holds all. */
function posterised(): Sharp {
  const data = Buffer.alloc(width * height * 3, 0).map(
    (_, i) => (((i / 3) % width) * 7 > 80 ? 200 : 40) + (i % 3) * 20,
  );
  return sharp(data, { raw: { width, height, channels: 3 } });
}

const jpeg = { quality: 100, chromaSubsampling: "4:4:4" } as const;
const blackAndWhite = (): Sharp => picture().greyscale().threshold(120);

async function animated(): Promise<Sharp> {
  const frames = [picture(), pattern(width, height, 9)].map((frame) => frame.png().toBuffer());
  return sharp(await Promise.all(frames), { join: { animated: true } });
}

/** Without the marker by which Adobe's programs say how inks are stored. */
async function withoutAdobeMarker(image: Sharp): Promise<Buffer> {
  const bytes = await image.toBuffer();
  const marker = bytes.indexOf(Buffer.from([0xff, 0xee]));
  return Buffer.concat([bytes.subarray(0, marker), bytes.subarray(marker + 2 + bytes.readUInt16BE(marker + 2))]);
}

const orientations = Object.fromEntries(
  [1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => [
    `orientation-${orientation}.jpg`,
    async () => picture().withMetadata({ orientation }).jpeg(jpeg).toBuffer(),
  ]),
);

export const pictures: Readonly<Record<string, () => Promise<Uint8Array>>> = {
  ...orientations,
  "orientation-6.png": () => picture().withMetadata({ orientation: 6 }).png().toBuffer(),
  "orientation-6.tif": () => picture().withMetadata({ orientation: 6 }).tiff({ compression: "lzw" }).toBuffer(),
  "orientation-6.webp": () => picture().withMetadata({ orientation: 6 }).webp({ lossless: true }).toBuffer(),
  "cmyk.jpg": () => picture().toColourspace("cmyk").withIccProfile("cmyk").jpeg(jpeg).toBuffer(),
  "cmyk-unmarked.jpg": () => withoutAdobeMarker(picture().toColourspace("cmyk").withIccProfile("cmyk").jpeg(jpeg)),
  "cmyk.tif": () => picture().toColourspace("cmyk").withIccProfile("cmyk").tiff({ compression: "lzw" }).toBuffer(),
  "grey.jpg": () => picture().greyscale().toColourspace("b-w").jpeg(jpeg).toBuffer(),
  "progressive.jpg": () =>
    picture()
      .jpeg({ ...jpeg, progressive: true })
      .toBuffer(),
  "display-p3.jpg": () => picture().withIccProfile("p3").jpeg(jpeg).toBuffer(),
  "display-p3.png": () => picture().withIccProfile("p3").png().toBuffer(),
  "rgb.png": () => picture().png().toBuffer(),
  "interlaced.png": () => picture().png({ progressive: true }).toBuffer(),
  "grey-16.png": () => grey16().png().toBuffer(),
  "rgb-16.png": () => rgb16().png().toBuffer(),
  "palette.png": () => posterised().png({ palette: true }).toBuffer(),
  "palette-transparent.png": async () => (await translucent()).png({ palette: true, colours: 32 }).toBuffer(),
  "one-bit.png": () => blackAndWhite().png({ palette: true, colours: 2 }).toBuffer(),
  "grey-alpha.png": async () => (await translucent()).greyscale().toColourspace("b-w").png().toBuffer(),
  "rgb-alpha.png": async () => (await translucent()).png().toBuffer(),
  "rgb-alpha-16.png": async () => (await translucent()).toColourspace("rgb16").png().toBuffer(),
  "rgb.tif": () => picture().tiff({ compression: "none" }).toBuffer(),
  "lzw.tif": () => picture().tiff({ compression: "lzw", predictor: "horizontal" }).toBuffer(),
  "deflate.tif": () => picture().tiff({ compression: "deflate" }).toBuffer(),
  "packbits.tif": () => picture().tiff({ compression: "packbits" }).toBuffer(),
  "fax.tif": () => blackAndWhite().toColourspace("b-w").tiff({ compression: "ccittfax4", bitdepth: 1 }).toBuffer(),
  "tiled.tif": () => picture().tiff({ compression: "lzw", tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer(),
  "big.tif": () => picture().tiff({ compression: "none", bigtiff: true }).toBuffer(),
  "grey-16.tif": () => grey16().tiff({ compression: "lzw" }).toBuffer(),
  "rgb-16.tif": () => rgb16().tiff({ compression: "lzw" }).toBuffer(),
  "rgb-alpha.tif": async () => (await translucent()).tiff({ compression: "lzw" }).toBuffer(),
  "planar.tif": async () => madeTiff({ width, height, pages: [await picture().raw().toBuffer()], planar: true }),
  "white-is-zero.tif": async () => {
    const grey = await picture().greyscale().raw().toBuffer();
    return madeTiff({ width, height, pages: [grey], whiteIsZero: true });
  },
  "pages.tif": async () => {
    const pages = [await picture().raw().toBuffer(), await pattern(width, height, 9).raw().toBuffer()];
    return madeTiff({ width, height, pages });
  },
  "lossless.webp": () => picture().webp({ lossless: true }).toBuffer(),
  "alpha.webp": async () => (await translucent()).webp({ lossless: true, exact: true }).toBuffer(),
  "animated.webp": async () => (await animated()).webp({ lossless: true }).toBuffer(),
};
