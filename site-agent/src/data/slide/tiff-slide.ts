import sharp from "sharp";
import type { RgbImage } from "../image.js";
import "../loaders.js";
import { UnreadableImage } from "../source.js";
import { white } from "./argb.js";
import { copyInto } from "./copy-into.js";
import { aperioField, numberIn, squareMicrometres, tiffMicrometres } from "./resolution.js";
import type { RegionRequest, Slide, SlideAttributes, SlideFile, SlideLevel } from "./slide.js";
import { checkedLevels } from "./slide-shape.js";
import { readTiffDirectories, type TiffDirectory } from "./tiff-directories.js";

/** Of one tile: enough for every scanner, and little memory. */
const mostTilePixels = 4096 * 4096;

/** Aperio's JPEG 2000, which libtiff does not decode. */
const jpeg2000 = new Set([33003, 33005]);

/**
 * Opens a tiled pyramidal TIFF, such as SVS, without OpenSlide: geotiff reads the directories, libtiff (in sharp) the
 * pixels. The levels are the tiled images of the first one's shape; label and macro images are not tiled, and what
 * calls itself one is passed over.
 * @throws UnreadableImage
 */
export async function openTiffSlide(file: SlideFile): Promise<Slide> {
  const directories = await readTiffDirectories(file);
  const pages = levelPages(directories);
  const base = pages[0];
  if (base === undefined) {
    throw new UnreadableImage(file.id, "unsupported-format", {
      detail: "a TIFF without tiles; some slides need the OpenSlide library (Debian: libopenslide0)",
    });
  }
  const slide = new TiffSlide(file, pages);
  for (const page of pages) requireDecodable(file.id, page);
  return slide;
}

function requireDecodable(id: string, page: TiffDirectory): void {
  const { compression, width, height, tileWidth, tileHeight, tileCount } = page;
  if (jpeg2000.has(compression)) {
    throw new UnreadableImage(id, "unsupported-format", {
      detail: "JPEG 2000 in TIFF needs the OpenSlide library (Debian: libopenslide0)",
    });
  }
  if (!(tileWidth >= 1 && tileHeight >= 1)) throw new UnreadableImage(id, "damaged", { detail: "tiles without size" });
  if (tileWidth * tileHeight > mostTilePixels) {
    throw new UnreadableImage(id, "too-many-pixels", { detail: `tiles of ${tileWidth}×${tileHeight}` });
  }
  // libtiff would show black for tiles that are not there.
  const needed = Math.ceil(width / tileWidth) * Math.ceil(height / tileHeight);
  if (tileCount < needed) throw new UnreadableImage(id, "damaged", { detail: `${tileCount} of ${needed} tiles` });
}

function levelPages(directories: readonly TiffDirectory[]): TiffDirectory[] {
  const tiled = directories.filter(
    ({ isTiled, description }) => isTiled && !/^\s*(?:label|macro)\b/im.test(description),
  );
  const pages: TiffDirectory[] = [];
  for (const page of tiled) {
    const finer = pages.at(-1);
    if (finer === undefined || (page.width < finer.width && isSameShape(pages[0]!, page))) pages.push(page);
  }
  return pages;
}

/** Sides are rounded at every level, so that a small one may be off by some pixels. */
function isSameShape(base: TiffDirectory, page: TiffDirectory): boolean {
  const expected = (page.width * base.height) / base.width;
  return Math.abs(expected - page.height) <= Math.max(2, 0.02 * page.height);
}

class TiffSlide implements Slide {
  readonly width: number;
  readonly height: number;
  readonly levels: readonly SlideLevel[];
  readonly micrometresPerPixel?: number;
  readonly attributes: SlideAttributes;
  readonly format: string;
  readonly #file: SlideFile;
  readonly #pages: readonly TiffDirectory[];

  constructor(file: SlideFile, pages: readonly TiffDirectory[]) {
    const base = pages[0]!;
    this.levels = checkedLevels(
      file.id,
      pages.map(({ width, height }) => ({ width, height, downsample: downsampleOf(base, { width, height }) })),
    );
    ({ width: this.width, height: this.height } = base);
    const micrometres = micrometresOf(base);
    if (micrometres !== undefined) this.micrometresPerPixel = micrometres;
    this.attributes = attributesOf(base);
    this.format = this.attributes.vendor === "aperio" ? "svs" : "tiff";
    this.#file = file;
    this.#pages = pages;
  }

  async readRegion({ x, y, level, width, height }: RegionRequest): Promise<RgbImage> {
    const { width: levelWidth, height: levelHeight, downsample } = this.levels[level]!;
    const [left, top] = [Math.round(x / downsample), Math.round(y / downsample)];
    const inside = {
      ...{ left: Math.max(0, left), top: Math.max(0, top) },
      ...{ right: Math.min(levelWidth, left + width), bottom: Math.min(levelHeight, top + height) },
    };
    const whole = new Uint8Array(width * height * 3).fill(255);
    if (inside.left >= inside.right || inside.top >= inside.bottom) return { width, height, data: whole };
    const part = await this.#decode(level, inside);
    if (part.width === width && part.height === height) return part;
    copyInto({ width, height, data: whole }, part, inside.left - left, inside.top - top);
    return { width, height, data: whole };
  }

  async #decode(level: number, { left, top, right, bottom }: Rectangle): Promise<RgbImage> {
    try {
      // The levels' sizes were checked; libvips' own limit is for images that are decoded as a whole.
      const { data, info } = await sharp(this.#file.path, {
        ...{ page: this.#pages[level]!.page, limitInputPixels: false, failOn: "error" },
      })
        .extract({ left, top, width: right - left, height: bottom - top })
        .flatten({ background: white })
        .toColourspace("srgb")
        .raw({ depth: "uchar" })
        .toBuffer({ resolveWithObject: true });
      if (info.channels !== 3) throw new UnreadableImage(this.#file.id, "unsupported-pixels");
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      return { width: info.width, height: info.height, data: bytes };
    } catch (thrown) {
      if (thrown instanceof UnreadableImage) throw thrown;
      throw new UnreadableImage(this.#file.id, "damaged", { detail: "libtiff cannot decode a tile" });
    }
  }

  async close(): Promise<void> {}
}

interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** As OpenSlide computes it: the mean of both directions. */
function downsampleOf(base: Pick<SlideLevel, "width" | "height">, level: Pick<SlideLevel, "width" | "height">): number {
  return (base.width / level.width + base.height / level.height) / 2;
}

function micrometresOf({ description, xResolution, yResolution, resolutionUnit }: TiffDirectory): number | undefined {
  const aperio = numberIn(aperioField(description, "MPP"));
  if (aperio !== undefined) return squareMicrometres(aperio, aperio);
  return tiffMicrometres({
    ...(xResolution === undefined ? {} : { x: xResolution }),
    ...(yResolution === undefined ? {} : { y: yResolution }),
    unit: String(resolutionUnit),
  });
}

function attributesOf({ description, make, model }: TiffDirectory): SlideAttributes {
  const isAperio = description.startsWith("Aperio");
  const scanner = isAperio ? aperioField(description, "ScanScope ID") : model;
  const magnification = isAperio ? aperioField(description, "AppMag") : undefined;
  return {
    vendor: isAperio ? "aperio" : (make?.toLowerCase() ?? "generic-tiff"),
    ...(scanner === undefined ? {} : { scanner }),
    ...(magnification === undefined ? {} : { magnification }),
  };
}
