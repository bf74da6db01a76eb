import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { DataSettings } from "../data-settings.js";
import { openDicomFile } from "../dicom/dicom-file.js";
import { factsOf } from "../dicom/frame-facts.js";
import type { Geometry } from "../dicom/geometry.js";
import type { DicomHeader, ImageHeader } from "../dicom/header.js";
import type { Voi } from "../dicom/voi.js";
import type { NameHash } from "../name-hash.js";
import { UnreadableImage } from "../source.js";
import { VolumeFault } from "./volume-fault.js";

/** One slice of a stack: a frame of a file, and where it lies. */
export interface SeriesFrame {
  readonly fileId: string;
  readonly frame: number;
  readonly instanceNumber: number;
  readonly geometry: Geometry;
  readonly voi: Voi | undefined;
}

/** Frames of one series with the same size and orientation: of a series with a scout, the scout is a stack of its own. */
export interface SeriesStack {
  /** Keyed hash of the series, size and orientation. */
  readonly name: string;
  /** Keyed hash of the patient. */
  readonly patient: string | undefined;
  readonly modality: string | undefined;
  /** Of the scanner. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly columns: number;
  readonly rows: number;
  readonly frames: readonly SeriesFrame[];
}

export interface SeriesOptions {
  readonly settings: DataSettings;
  readonly hash: NameHash;
}

/**
 * Reads the headers of a folder's DICOM files and puts their frames into stacks, in the order of their names. Files that
 * are no DICOM, hold no pixels or may not be taken are passed over, as long as there are others.
 * @param ids of the files, below the settings' path
 * @throws VolumeFault or UnreadableImage when nothing is left
 */
export async function readStacks(ids: readonly string[], options: SeriesOptions): Promise<readonly SeriesStack[]> {
  const stacks = new Map<string, SeriesStack & { readonly frames: SeriesFrame[] }>();
  let voxels = 0;
  let failure: unknown;
  for (const id of ids) {
    try {
      const header = await headerOf(id, options);
      const image = wantedImage(header, options.settings.dicom);
      const { columns, rows, frames } = image.pixels;
      voxels += columns * rows * frames;
      if (voxels > options.settings.maxPixels) throw tooMany(options.settings.maxPixels);
      for (const { key, frame } of framesOf(id, header, image)) {
        const stack = stacks.get(key) ?? emptyStack(key, header, image, options.hash);
        stack.frames.push(frame);
        stacks.set(key, stack);
      }
    } catch (thrown) {
      if (!(thrown instanceof VolumeFault || thrown instanceof UnreadableImage)) throw thrown;
      if (thrown.reason === "too-many-pixels") throw thrown;
      if (thrown.reason !== "unsupported-format" || hasDicomExtension(id)) failure ??= thrown;
    }
  }
  if (stacks.size === 0) throw failure ?? new VolumeFault("no-pixels", "no DICOM file is there");
  return [...stacks.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Other files without an extension, such as README, may well be no DICOM. */
function hasDicomExtension(id: string): boolean {
  return /\.(?:dcm|dicom|ima)$/i.test(id);
}

async function headerOf(id: string, { settings, hash }: SeriesOptions): Promise<DicomHeader> {
  const path = join(settings.path, id);
  // A pipe could keep the reader waiting for ever.
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() === false) throw new VolumeFault("missing", "no file");
  const file = await openDicomFile(path, { id, limits: settings, hash });
  await file.close();
  return file.header;
}

function wantedImage({ image, modality, burnedIn }: DicomHeader, rules: DataSettings["dicom"]): ImageHeader {
  if (image === undefined) throw new VolumeFault("no-pixels", "an object without pixels");
  if (modality === undefined || !rules.modalities.includes(modality)) {
    throw new VolumeFault("modality-excluded", modality ?? "says no modality");
  }
  if (burnedIn && !rules.allowBurnedIn) throw new VolumeFault("burned-in", "says that names are burned in");
  return image;
}

/** The frames that say where they lie, each with the key of its stack. */
function framesOf(fileId: string, header: DicomHeader, image: ImageHeader): { key: string; frame: SeriesFrame }[] {
  const { columns, rows, frames: count } = image.pixels;
  const found: { key: string; frame: SeriesFrame }[] = [];
  for (let frame = 0; frame < count; frame++) {
    const { geometry, voi } = factsOf(image.frames, frame);
    const { orientation, position, spacing } = geometry;
    if (orientation === undefined || position === undefined || spacing === undefined) continue;
    const direction = orientation.map((cosine) => cosine.toFixed(2)).join(" ");
    const key = `${header.hashes.series ?? fileId} ${columns}×${rows} ${direction.replaceAll("-0.00", "0.00")}`;
    found.push({ key, frame: { fileId, frame, instanceNumber: header.instanceNumber ?? 0, geometry, voi } });
  }
  if (found.length === 0) throw new VolumeFault("unsupported-pixels", "frames that do not say where they lie");
  return found;
}

function emptyStack(key: string, header: DicomHeader, image: ImageHeader, hash: NameHash) {
  const { modality, manufacturer, model } = header;
  const told = Object.entries({ modality, manufacturer, model }).filter(([, value]) => value !== undefined);
  return {
    name: hash(key),
    patient: header.hashes.patient,
    modality,
    attributes: Object.fromEntries(told) as Record<string, string>,
    columns: image.pixels.columns,
    rows: image.pixels.rows,
    frames: [],
  };
}

function tooMany(most: number): VolumeFault {
  return new VolumeFault("too-many-pixels", `more than ${most} voxels in one folder`);
}
