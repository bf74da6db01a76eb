import { join } from "node:path";
import { rowFacts } from "../chosen-files.js";
import type { DataSettings } from "../data-settings.js";
import type { RgbImage } from "../image.js";
import { type NameHash, nameHash } from "../name-hash.js";
import {
  type FoundItem,
  type ImageSource,
  partId,
  type SourceFile,
  type SourceItem,
  splitPartId,
  UnreadableImage,
  unnamedGroup,
} from "../source.js";
import { type PreparedVolume, prepare, usableSlices } from "./prepared-volume.js";
import { hasVolumeName, readVolume, unreadableAs } from "./read-volume.js";
import { readStack } from "./series.js";
import { readStacks } from "./series-stacks.js";
import { sliceCount, sliceOf, sliceSides } from "./slice.js";
import { parseSlicePart, slicePart } from "./slice-part.js";
import type { Volume } from "./volume.js";
import { VolumeCache } from "./volume-cache.js";
import { VolumeFault } from "./volume-fault.js";
import { dicomFiles, volumeFiles } from "./volume-files.js";

export interface VolumeSourceOptions {
  readonly settings: DataSettings;
  /** Secret of the site, under which patients, series and files are named in groups and ids. */
  readonly nameKey: Uint8Array | string;
  /** Side of the model's input in pixels. */
  readonly imageSize: number;
}

/** Memory for volumes in levels of grey; with it the slices of a volume are read in order without decoding it again. */
const largestCache = 512 * 1024 ** 2;

/** One volume of a file; a folder of DICOM files may hold several. */
interface VolumeOfFile {
  /** Names the series within its folder. */
  readonly series?: string;
  /** Keyed hash of the patient. */
  readonly patient?: string | undefined;
  /** Of the scanner. */
  readonly attributes?: Readonly<Record<string, string>>;
  read(): Promise<Volume>;
}

/**
 * Slices of CT and MR volumes below a folder: NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) and series of DICOM files. All
 * slices of a volume share its group, which is the labels file's, else the patient's keyed hash, else the file's. Label
 * maps are left out unless the labels file names them (see `isLabelMap`).
 */
export function volumeSource({ settings, nameKey, imageSize }: VolumeSourceOptions): ImageSource {
  const slices = new VolumeSlices(settings, nameHash(nameKey), settings.workingSize ?? 2 * imageSize);
  return {
    files: (signal) => volumeFiles(settings, signal),
    items: (file) => unreadableAs(file.id, () => slices.find(file)),
    read: (item) => unreadableAs(item.id, () => slices.read(item)),
    close: async () => slices.forget(),
  };
}

class VolumeSlices {
  readonly #settings: DataSettings;
  readonly #hash: NameHash;
  readonly #workingSize: number;
  readonly #cache: VolumeCache<PreparedVolume>;

  constructor(settings: DataSettings, hash: NameHash, workingSize: number) {
    this.#settings = settings;
    this.#hash = hash;
    this.#workingSize = workingSize;
    this.#cache = new VolumeCache(Math.min(settings.cacheBytes, largestCache));
  }

  /** Of a folder with several stacks, such as a scout and a scan, those that cannot be used are passed over. */
  async find(file: SourceFile): Promise<readonly FoundItem[]> {
    const found: FoundItem[] = [];
    let failure: unknown;
    for (const volume of await this.#volumesOf(file.id)) {
      try {
        for (const item of await this.#slicesOf(file, volume)) found.push(item);
      } catch (thrown) {
        if (!(thrown instanceof VolumeFault || thrown instanceof UnreadableImage)) throw thrown;
        failure ??= thrown;
      }
    }
    if (found.length === 0) throw failure;
    return found;
  }

  async read({ id, stamp }: SourceItem): Promise<RgbImage> {
    const { fileId, part } = splitPartId(id);
    const slice = parseSlicePart(part);
    if (slice === undefined || slice.plane !== this.#settings.volume.plane) throw gone();
    const volume = await this.#cache.get(cacheKey(fileId, slice.series), stamp, async () => {
      const found = (await this.#volumesOf(fileId)).find(({ series }) => series === slice.series);
      if (found === undefined) throw gone();
      return this.#prepare(fileId, found);
    });
    if (slice.index >= sliceCount(volume, slice.plane)) throw gone();
    return sliceOf(volume, { plane: slice.plane, index: slice.index, workingSize: this.#workingSize });
  }

  forget(): void {
    this.#cache.clear();
  }

  async #volumesOf(fileId: string): Promise<readonly VolumeOfFile[]> {
    const settings = this.#settings;
    const path = join(settings.path, fileId);
    if (hasVolumeName(fileId)) return [{ read: () => readVolume(path, { id: fileId, limits: settings }) }];
    const options = { settings, hash: this.#hash };
    const stacks = await readStacks(await dicomFiles(settings.path, fileId), options);
    return stacks.map((stack) => ({
      series: stack.name,
      patient: stack.patient,
      attributes: stack.attributes,
      read: () => readStack(stack, options),
    }));
  }

  async #prepare(fileId: string, volume: VolumeOfFile): Promise<PreparedVolume> {
    return prepare(fileId, await volume.read(), this.#settings);
  }

  async #slicesOf(file: SourceFile, volume: VolumeOfFile): Promise<FoundItem[]> {
    const { id, stamp, row } = file;
    const whole = await this.#cache.get(cacheKey(id, volume.series), stamp, () => this.#prepare(id, volume));
    if (whole.isLabelMap && row === undefined) throw new VolumeFault("modality-excluded", "a label map");
    const { plane } = this.#settings.volume;
    const { format, modality, dims } = whole;
    const facts = { format, ...sliceSides(dims, plane), ...(modality === undefined ? {} : { modality }) };
    const labelled = rowFacts(row, this.#settings.columns);
    const attributes = { ...volume.attributes, ...labelled.attributes };
    return usableSlices(whole, this.#settings.volume).map((index) => ({
      id: partId(id, slicePart({ ...(volume.series === undefined ? {} : { series: volume.series }), plane, index })),
      stamp,
      group: volume.patient ?? unnamedGroup(this.#hash(id)),
      ...labelled,
      ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
      facts,
    }));
  }
}

const cacheKey = (fileId: string, series: string | undefined): string => partId(fileId, series ?? "");

function gone(): VolumeFault {
  return new VolumeFault("missing", "the volume has no such slice");
}
