import { nameHash } from "../name-hash.js";
import { memoryBytes } from "./byte-source.js";
import { toRgb } from "./colour.js";
import { decodeFrame } from "./decode-frame.js";
import { parse } from "./dicom-file.js";
import { type GreyOptions, toGrey } from "./grey.js";
import type { DicomHeader } from "./header.js";
import { openBytes } from "./layout.js";
import { dicomBytes, type TestElements, type TestForm } from "./test-dicom.js";

const limits = { maxPixels: 1_000_000, maxFileBytes: 100_000_000 };

/** Reads a file that lies in memory. */
export async function readHeaderOf(bytes: Uint8Array): Promise<DicomHeader> {
  return (await parse(await openBytes(memoryBytes(bytes)), { hash: nameHash("key"), limits })).header;
}

export async function decodeBytes(bytes: Uint8Array, index = 0) {
  const opened = await openBytes(memoryBytes(bytes));
  const { header, locator } = await parse(opened, { hash: nameHash("key"), limits });
  const image = header.image!;
  const frame = await decodeFrame({ bytes: opened.bytes, encoding: header.encoding, image, locator: locator! }, index);
  return { header, image, frame };
}

/** Stored values of a frame. */
export async function storedOf(elements: TestElements, form: TestForm = {}, index = 0): Promise<number[]> {
  return [...(await decodeBytes(dicomBytes(elements, form), index)).frame.samples];
}

/** 8-bit shades of a frame. */
export async function shadesOf(
  elements: TestElements,
  options: GreyOptions = {},
  form: TestForm = {},
): Promise<number[]> {
  const { frame, image } = await decodeBytes(dicomBytes(elements, form));
  return [...toGrey(frame, image, 0, options)];
}

/** Interleaved red, green and blue of a frame. */
export async function rgbOf(elements: TestElements, form: TestForm = {}): Promise<number[]> {
  const { frame, image } = await decodeBytes(dicomBytes(elements, form));
  return [...toRgb(frame, image)];
}
