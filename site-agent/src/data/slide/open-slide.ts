import { stat } from "node:fs/promises";
import { UnreadableImage } from "../source.js";
import { storageFailure } from "../storage-failure.js";
import { type DicomSlideOptions, openDicomSlide } from "./dicom-slide.js";
import { openWithOpenSlide } from "./openslide.js";
import type { OpenSlide } from "./openslide-process.js";
import type { Slide, SlideFile } from "./slide.js";
import { hasDicomName } from "./slide-names.js";
import { openTiffSlide } from "./tiff-slide.js";

export interface OpenSlideOptions extends DicomSlideOptions {
  readonly library: OpenSlide;
}

/**
 * Opens a slide with what can: DICOM by its own reader, all else with OpenSlide, and TIFF without it where OpenSlide is
 * not installed or refuses the file.
 * @throws UnreadableImage for this file; ConsiliumError "input-unreadable" when the storage fails
 */
export async function openSlide(file: SlideFile, { library, ...dicom }: OpenSlideOptions): Promise<Slide> {
  await requireFile(file);
  if (hasDicomName(file.id)) return openDicomSlide(file, dicom);
  const opened = await attempt(() => openWithOpenSlide(file, library));
  if (opened.result !== undefined) return opened.result;
  const plain = await attempt(() => openTiffSlide(file));
  if (plain.result !== undefined) return plain.result;
  throw opened.refusal ?? plain.refusal!;
}

interface Attempt {
  readonly result?: Slide | undefined;
  readonly refusal?: UnreadableImage;
}

async function attempt(open: () => Promise<Slide | undefined>): Promise<Attempt> {
  try {
    return { result: await open() };
  } catch (thrown) {
    if (thrown instanceof UnreadableImage) return { refusal: thrown };
    throw thrown;
  }
}

/** OpenSlide does not tell a file that is not there from one that it does not know. */
async function requireFile({ id, path }: SlideFile): Promise<void> {
  const { size } = await stat(path).catch((cause: unknown) => {
    throw storageFailure(id, cause);
  });
  if (size === 0) throw new UnreadableImage(id, "empty");
}
