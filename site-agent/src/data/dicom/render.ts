import sharp from "sharp";
import type { RgbImage } from "../image.js";
import "../loaders.js";
import { toRgb } from "./colour.js";
import type { DicomFile } from "./dicom-file.js";
import { factsOf } from "./frame-facts.js";
import { type GreyOptions, toGrey } from "./grey.js";
import { readable } from "./problem.js";

export interface RenderOptions extends GreyOptions {
  /** For errors. */
  readonly id: string;
  /** Short side of the result in pixels; smaller images keep their size. */
  readonly workingSize: number;
}

/**
 * A frame as people see it: greys through their window, colours as they are.
 * @param index of the frame, from 0
 * @throws UnreadableImage
 */
export async function renderFrame(file: DicomFile, index: number, options: RenderOptions): Promise<RgbImage> {
  const frame = await file.frame(index);
  return readable(options.id, async () => {
    const image = file.image();
    const isColour = frame.bands === 3 || image.palette !== undefined;
    const pixels = isColour ? toRgb(frame, image) : toGrey(frame, image, index, options);
    const { spacing } = factsOf(image.frames, index).geometry;
    const { columns: width, rows: height } = frame;
    const full = { data: pixels, width, height, channels: isColour ? (3 as const) : (1 as const) };
    return resized(full, options.workingSize, spacing);
  });
}

interface Picture {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

async function resized(full: Picture, workingSize: number, spacing: RgbImage["spacing"]): Promise<RgbImage> {
  const { width, height } = full;
  const picture = Math.min(width, height) <= workingSize ? full : await shrink(full, workingSize);
  const scaled = spacing && { x: (spacing.x * width) / picture.width, y: (spacing.y * height) / picture.height };
  return {
    width: picture.width,
    height: picture.height,
    data: picture.channels === 3 ? picture.data : repeated(picture.data),
    ...(scaled === undefined ? {} : { spacing: scaled }),
  };
}

async function shrink({ data, ...raw }: Picture, workingSize: number): Promise<Picture> {
  const { data: shrunk, info } = await sharp(data, { raw, limitInputPixels: false })
    .resize(workingSize, workingSize, { fit: "outside" })
    .toColourspace(raw.channels === 1 ? "b-w" : "srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(shrunk), width: info.width, height: info.height, channels: raw.channels };
}

function repeated(grey: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(grey.length * 3);
  for (let i = 0, to = 0; i < grey.length; i++) {
    const shade = grey[i]!;
    rgb[to++] = shade;
    rgb[to++] = shade;
    rgb[to++] = shade;
  }
  return rgb;
}
