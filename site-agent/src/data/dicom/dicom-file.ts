import { type FileHandle, open, stat } from "node:fs/promises";
import type { NameHash } from "../name-hash.js";
import { UnreadableImage } from "../source.js";
import { type ByteSource, fileBytes } from "./byte-source.js";
import { decodeFrame } from "./decode-frame.js";
import { factsOf } from "./frame-facts.js";
import { FrameLocator } from "./frame-locator.js";
import type { Geometry } from "./geometry.js";
import { rescaled } from "./grey.js";
import { type DicomHeader, type ImageHeader, readHeader } from "./header.js";
import { type OpenedBytes, openBytes, readLayout } from "./layout.js";
import { checkNativeLength } from "./native.js";
import { DicomProblem, readable } from "./problem.js";
import type { Frame } from "./samples.js";

export interface DicomOptions {
  /** For errors: the source's name of the file. */
  readonly id: string;
  readonly limits: { readonly maxPixels: number; readonly maxFileBytes: number };
  readonly hash: NameHash;
}

/** What is known of an object once its header was read. Holds no bytes of the file. */
export interface ParsedDicom {
  readonly header: DicomHeader;
  /** Absent in objects without pixels. */
  readonly locator: FrameLocator | undefined;
}

/** A frame in the modality's unit, such as Hounsfield units; MONOCHROME1 is not inverted. */
export interface RescaledFrame {
  readonly rows: number;
  readonly columns: number;
  /** Row by row from the top. */
  readonly values: Float32Array;
  readonly geometry: Geometry;
}

/** An open DICOM file. Close it. */
export interface DicomFile extends ParsedDicom {
  /** @throws UnreadableImage "no-pixels" */
  image(): ImageHeader;
  /** @param index from 0. @throws UnreadableImage */
  frame(index: number): Promise<Frame>;
  /** One band only. @param index from 0. @throws UnreadableImage */
  rescaledFrame(index: number): Promise<RescaledFrame>;
  close(): Promise<void>;
}

/**
 * Opens a DICOM file (PS3.10), with or without preamble and meta information.
 * @param known what an earlier opening of the same file found out
 * @throws UnreadableImage; ConsiliumError "input-unreadable" when the storage fails
 */
export async function openDicomFile(path: string, options: DicomOptions, known?: ParsedDicom): Promise<DicomFile> {
  return readable(options.id, async () => {
    // A pipe would keep whoever opens it waiting.
    if (!(await stat(path)).isFile()) throw new DicomProblem("missing", "not a file");
    const file = await open(path);
    try {
      return await openFrom(file, options, known);
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  });
}

async function openFrom(file: FileHandle, options: DicomOptions, known: ParsedDicom | undefined): Promise<DicomFile> {
  const { size } = await file.stat();
  if (size > options.limits.maxFileBytes) {
    throw new DicomProblem("file-too-large", `${size} of at most ${options.limits.maxFileBytes} bytes`);
  }
  const bytes = fileBytes(file, size);
  const close = (): Promise<void> => file.close();
  if (known !== undefined && !known.header.encoding.deflated) return dicomFile(known, bytes, options.id, close);
  const opened = await openBytes(bytes);
  return dicomFile(known ?? (await parse(opened, options)), opened.bytes, options.id, close);
}

/** @throws DicomProblem */
export async function parse(
  opened: OpenedBytes,
  { hash, limits }: Pick<DicomOptions, "hash" | "limits">,
): Promise<ParsedDicom> {
  const header = readHeader(await readLayout(opened), { hash, maxPixels: limits.maxPixels });
  const { image } = header;
  if (image === undefined) return { header, locator: undefined };
  if (!header.encoding.encapsulated) checkNativeLength(image, opened.bytes.size);
  return { header, locator: new FrameLocator(image) };
}

function dicomFile(parsed: ParsedDicom, bytes: ByteSource, id: string, close: () => Promise<void>): DicomFile {
  const { header, locator } = parsed;
  const requireImage = (): ImageHeader => {
    if (header.image === undefined) throw new UnreadableImage(id, "no-pixels");
    return header.image;
  };
  const decode = (index: number): Promise<Frame> => {
    return decodeFrame({ bytes, encoding: header.encoding, image: requireImage(), locator: locator! }, index);
  };
  return {
    ...parsed,
    image: requireImage,
    frame: (index) => readable(id, async () => decode(index)),
    rescaledFrame: (index) =>
      readable(id, async () => {
        const { modality, geometry } = factsOf(requireImage().frames, index);
        const { rows, columns, samples, bands } = await decode(index);
        if (bands !== 1) throw new DicomProblem("unsupported-pixels", "colours, which are no measured values");
        return { rows, columns, values: rescaled(samples, modality), geometry };
      }),
    close,
  };
}
