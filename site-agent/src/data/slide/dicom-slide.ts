import { type DicomFile, openDicomFile } from "../dicom/dicom-file.js";
import { factsOf } from "../dicom/frame-facts.js";
import type { DicomHeader, ImageHeader } from "../dicom/header.js";
import { DicomProblem, readable } from "../dicom/problem.js";
import { renderFrame } from "../dicom/render.js";
import type { RgbImage } from "../image.js";
import { UnreadableImage } from "../source.js";
import { copyInto } from "./copy-into.js";
import { FrameMap } from "./dicom-tiles.js";
import { squareMicrometres } from "./resolution.js";
import type { RegionRequest, Slide, SlideAttributes, SlideFile, SlideLevel } from "./slide.js";
import { checkedLevels } from "./slide-shape.js";

export interface DicomSlideOptions {
  /** Of one frame. */
  readonly maxPixels: number;
  /** Takes objects that say that names are burned into them. */
  readonly allowBurnedIn: boolean;
}

/** VL Whole Slide Microscopy Image Storage, PS3.4 B.5. */
const wholeSlide = "1.2.840.10008.5.1.4.1.1.77.1.6";

/** Values of Image Type (PS3.3 C.8.12.4.1.1) for pictures of the glass with its label. */
const withLabel = new Set(["LABEL", "OVERVIEW", "LOCALIZER"]);

const leastTile = 16;

/** Decoded frames that are kept: a row of tiles that do not lie as the frames do. */
const keptFrames = 32;

/**
 * Opens a DICOM whole-slide object (PS3.3 A.32.8), whose frames are tiles of one level. A slide's levels are files of
 * their own: each is a slide, and those that are coarser than wanted are left out by their resolution.
 * @throws UnreadableImage "modality-excluded" for other objects, "burned-in" for labels and overviews of the glass
 */
export async function openDicomSlide(file: SlideFile, options: DicomSlideOptions): Promise<Slide> {
  const dicom = await openDicomFile(file.path, {
    id: file.id,
    limits: { maxPixels: options.maxPixels, maxFileBytes: Number.POSITIVE_INFINITY },
    // A slide's tiles are grouped by the slide: no identifier is needed.
    hash: () => "",
  });
  try {
    return await readable(file.id, async () => {
      requireVolume(file.id, dicom.header, options);
      return new DicomSlide(file, dicom);
    });
  } catch (thrown) {
    await dicom.close();
    throw thrown;
  }
}

function requireVolume(id: string, header: DicomHeader, { allowBurnedIn }: DicomSlideOptions): void {
  if (header.sopClass !== wholeSlide) throw new UnreadableImage(id, "modality-excluded", { detail: "no whole slide" });
  const showsLabel = header.imageType.some((value) => withLabel.has(value));
  if (showsLabel || (header.burnedIn && !allowBurnedIn)) throw new UnreadableImage(id, "burned-in");
}

/** Tiles of a few pixels would make a map that is larger than the slide. */
function requireTiles({ pixels }: ImageHeader): void {
  if (pixels.frames > 1 && Math.min(pixels.columns, pixels.rows) < leastTile) {
    throw new DicomProblem("unsupported-pixels", `tiles of ${pixels.columns}×${pixels.rows} pixels`);
  }
}

class DicomSlide implements Slide {
  readonly width: number;
  readonly height: number;
  readonly levels: readonly SlideLevel[];
  readonly micrometresPerPixel?: number;
  readonly attributes: SlideAttributes;
  readonly format = "dicom";
  readonly transferSyntax: string;
  readonly #id: string;
  readonly #dicom: DicomFile;
  readonly #map: FrameMap;
  /** By number, the longest unused first. */
  readonly #frames = new Map<number, Promise<RgbImage>>();

  constructor({ id }: SlideFile, dicom: DicomFile) {
    const image = dicom.image();
    requireTiles(image);
    const { columns, rows } = image.matrix ?? image.pixels;
    this.levels = checkedLevels(id, [{ width: columns, height: rows, downsample: 1 }]);
    [this.width, this.height] = [columns, rows];
    const micrometres = micrometresOf(image);
    if (micrometres !== undefined) this.micrometresPerPixel = micrometres;
    this.attributes = attributesOf(dicom.header);
    this.transferSyntax = dicom.header.encoding.uid;
    this.#id = id;
    this.#dicom = dicom;
    this.#map = new FrameMap(image);
  }

  async readRegion({ x, y, width, height }: RegionRequest): Promise<RgbImage> {
    const region = { width, height, data: new Uint8Array(width * height * 3).fill(255) };
    const [left, top] = [Math.round(x), Math.round(y)];
    const [right, bottom] = [Math.min(this.width, left + width), Math.min(this.height, top + height)];
    // The last frames of a row reach over the slide's edge; what they hold there is no picture.
    const ends = { right: right - left, bottom: bottom - top };
    for (const place of this.#map.within(Math.max(0, left), Math.max(0, top), right, bottom)) {
      copyInto(region, await this.#frame(place.frame), place.x - left, place.y - top, ends);
    }
    return region;
  }

  #frame(index: number): Promise<RgbImage> {
    const image = this.#frames.get(index) ?? this.#decode(index);
    this.#frames.delete(index);
    this.#frames.set(index, image);
    if (this.#frames.size > keptFrames) this.#frames.delete(this.#frames.keys().next().value!);
    return image;
  }

  async #decode(index: number): Promise<RgbImage> {
    const workingSize = Number.MAX_SAFE_INTEGER;
    return renderFrame(this.#dicom, index, { id: this.#id, workingSize, window: undefined });
  }

  close(): Promise<void> {
    return this.#dicom.close();
  }
}

function micrometresOf({ frames }: ImageHeader): number | undefined {
  const { spacing } = factsOf(frames, 0).geometry;
  return spacing === undefined ? undefined : squareMicrometres(spacing.x * 1000, spacing.y * 1000);
}

function attributesOf({ manufacturer, model }: DicomHeader): SlideAttributes {
  return { vendor: manufacturer ?? "unknown", ...(model === undefined ? {} : { scanner: model }) };
}
