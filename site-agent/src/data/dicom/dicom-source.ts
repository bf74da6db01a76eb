import { basename, extname, join } from "node:path";
import { chosenFiles } from "../chosen-files.js";
import type { DataSettings } from "../data-settings.js";
import type { FoundFile } from "../find-images.js";
import { type NameHash, nameHash } from "../name-hash.js";
import { type ImageSource, splitPartId } from "../source.js";
import { type DicomFile, openDicomFile } from "./dicom-file.js";
import { frameOf, itemsOf } from "./dicom-items.js";
import { ParsedHeaders } from "./parsed-headers.js";
import { renderFrame } from "./render.js";

export interface DicomSourceOptions {
  readonly settings: DataSettings;
  /** Secret of the site, with which identifiers are hashed. */
  readonly nameKey: Uint8Array | string;
  /** Short side of the images that `read` returns, in pixels; smaller ones keep their size. */
  readonly workingSize: number;
}

/** Files whose headers are kept. */
const headerCapacity = 32;

/**
 * Names of DICOM files: with the usual extensions, or with none. The last part of an identifier that serves as a name
 * (1.2.840…) is no extension. A DICOMDIR is a table of contents.
 */
export function hasDicomName({ id }: Pick<FoundFile, "id">): boolean {
  if (basename(id).toUpperCase() === "DICOMDIR") return false;
  return /^(?:|\.dcm|\.dicom|\.ima|\.\d+|\.)$/i.test(extname(id));
}

/** DICOM files (PS3.10) in a folder and below it; each frame is an image. */
export function dicomSource({ settings, nameKey, workingSize }: DicomSourceOptions): ImageSource {
  const reader = new DicomReader(settings, nameHash(nameKey));
  const pathOf = (id: string): string => join(settings.path, id);
  return {
    files: (signal) => chosenFiles(settings, { isWanted: hasDicomName, signal }),
    items: (file) => reader.use(pathOf(file.id), file, async ({ header }) => itemsOf(header, file, settings)),
    async read({ id, stamp }) {
      const { fileId, part } = splitPartId(id);
      const options = { id, workingSize, window: settings.dicom.window };
      return reader.use(pathOf(fileId), { id: fileId, stamp }, (file) => renderFrame(file, frameOf(part), options));
    },
    close: async () => reader.forget(),
  };
}

/** Opens files with the headers that are known of them. */
export class DicomReader {
  readonly #limits: Pick<DataSettings, "maxPixels" | "maxFileBytes">;
  readonly #hash: NameHash;
  readonly #headers = new ParsedHeaders(headerCapacity);

  constructor(limits: Pick<DataSettings, "maxPixels" | "maxFileBytes">, hash: NameHash) {
    this.#limits = limits;
    this.#hash = hash;
  }

  /** @throws UnreadableImage; ConsiliumError "input-unreadable" when the storage fails */
  async use<T>(
    path: string,
    { id, stamp }: { id: string; stamp: string },
    act: (file: DicomFile) => Promise<T>,
  ): Promise<T> {
    const known = this.#headers.get(id, stamp);
    const file = await openDicomFile(path, { id, limits: this.#limits, hash: this.#hash }, known);
    try {
      const result = await act(file);
      this.#headers.set(id, stamp, file);
      return result;
    } catch (thrown) {
      // What was kept may be what failed, such as a table that a disk refused to read.
      this.#headers.delete(id);
      throw thrown;
    } finally {
      await file.close();
    }
  }

  forget(): void {
    this.#headers.clear();
  }
}
