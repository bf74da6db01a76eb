import type { GeoTIFF, ImageFileDirectory } from "geotiff";
import { UnreadableImage } from "../source.js";
import { BoundedFile } from "./bounded-file.js";
import type { SlideFile } from "./slide.js";

/** What a TIFF says of one of its images. */
export interface TiffDirectory {
  /** Its place in the chain, which is libtiff's page. */
  readonly page: number;
  readonly width: number;
  readonly height: number;
  readonly isTiled: boolean;
  readonly tileWidth: number;
  readonly tileHeight: number;
  /** Tiles that it says the places of. */
  readonly tileCount: number;
  readonly compression: number;
  readonly description: string;
  readonly make?: string;
  readonly model?: string;
  /** Pixels per unit. */
  readonly xResolution?: number;
  readonly yResolution?: number;
  readonly resolutionUnit: number;
}

/** Pyramids have about ten images; focal planes and channels make some dozens. */
const mostDirectories = 512;

/**
 * The chain of image directories (TIFF 6.0 section 2, and BigTIFF). Only directories are read, no pixels.
 * @throws UnreadableImage "unsupported-format" when it is no TIFF, "damaged" when the chain is broken or a circle
 */
export async function readTiffDirectories({ id, path }: SlideFile): Promise<readonly TiffDirectory[]> {
  // Loaded when needed: it takes long, and in a thread that was given no data, its `web-worker` fails as it loads.
  const { GeoTIFF } = await import("geotiff");
  const file = await BoundedFile.open(path);
  try {
    const tiff = await GeoTIFF.fromSource(file).catch(() => {
      throw new UnreadableImage(id, "unsupported-format", { detail: "no whole slide" });
    });
    return await walk(id, tiff);
  } catch (thrown) {
    if (thrown instanceof UnreadableImage) throw thrown;
    throw new UnreadableImage(id, "damaged", { detail: "its TIFF directories cannot be read" });
  } finally {
    await file.close();
  }
}

async function walk(id: string, tiff: GeoTIFF): Promise<TiffDirectory[]> {
  const directories: TiffDirectory[] = [];
  const visited = new Set<number>();
  let offset = tiff.firstIFDOffset;
  for (let page = 0; offset !== 0; page++) {
    if (visited.has(offset)) throw new UnreadableImage(id, "damaged", { detail: "its TIFF directories form a circle" });
    if (page >= mostDirectories) throw new UnreadableImage(id, "damaged", { detail: `over ${page} TIFF directories` });
    visited.add(offset);
    const directory = await tiff.requestIFD(page);
    directories.push(await describe(directory, page));
    offset = directory.nextIFDByteOffset;
  }
  return directories;
}

async function describe(directory: ImageFileDirectory, page: number): Promise<TiffDirectory> {
  const number = async (tag: number, otherwise = 0) => numberOf(await value(directory, tag)) ?? otherwise;
  const [xResolution, yResolution] = [await ratio(directory, 282), await ratio(directory, 283)];
  const [make, model] = [await text(directory, 271), await text(directory, 272)];
  return {
    page,
    ...{ width: await number(256), height: await number(257) },
    ...{ tileWidth: await number(322), tileHeight: await number(323) },
    isTiled: directory.hasTag(324),
    tileCount: lengthOf(directory, 324),
    compression: await number(259, 1),
    description: (await text(directory, 270)) ?? "",
    resolutionUnit: await number(296, 2),
    ...(make && { make }),
    ...(model && { model }),
    ...(xResolution === undefined ? {} : { xResolution }),
    ...(yResolution === undefined ? {} : { yResolution }),
  };
}

/** Without reading what may be megabytes. */
function lengthOf({ actualizedFields, deferredArrays }: ImageFileDirectory, tag: number): number {
  const found: unknown = actualizedFields.get(tag) ?? deferredArrays.get(tag);
  return typeof found === "number" ? 1 : ((found as ArrayLike<unknown> | undefined)?.length ?? 0);
}

/** geotiff's own type for values is `any`. */
async function value(directory: ImageFileDirectory, tag: number): Promise<unknown> {
  return (await directory.loadValue(tag)) as unknown;
}

function numberOf(found: unknown): number | undefined {
  const first = ArrayBuffer.isView(found) || Array.isArray(found) ? (found as ArrayLike<unknown>)[0] : found;
  return typeof first === "number" ? first : undefined;
}

async function text(directory: ImageFileDirectory, tag: number): Promise<string | undefined> {
  const found = await value(directory, tag);
  return typeof found === "string" ? found.replaceAll("\0", "").trim() : undefined;
}

/** RATIONAL: a numerator and a denominator. */
async function ratio(directory: ImageFileDirectory, tag: number): Promise<number | undefined> {
  const found = await value(directory, tag);
  if (!(found instanceof Uint32Array) || found.length < 2 || found[1] === 0) return undefined;
  return found[0]! / found[1]!;
}
