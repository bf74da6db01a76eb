import { gzipSync } from "node:zlib";
import { randomFor } from "@consilium/shared/random.js";
import type { SourceKind } from "@consilium/site-agent/data/data-settings.js";
import sharp, { type Sharp } from "sharp";
import { pattern } from "../../../site-agent/src/data/test-images.js";
import { madeTiff } from "../../../site-agent/src/data/testing/made-tiff.js";
import { madeSlice } from "../../../site-agent/src/data/volume/testing/made-series.js";
import { ball, madeNifti, madeNrrd } from "../../../site-agent/src/data/volume/testing/made-volumes.js";
import { damaged, type HostileFile, leftOut } from "./hostile-file.js";

/** A small good file, which is then spoilt. */
interface Base {
  readonly source: SourceKind;
  readonly name: string;
  readonly ending: string;
  readonly bytes: Uint8Array;
}

const picture = (): Sharp => pattern(64, 48, 3);

async function bases(): Promise<readonly Base[]> {
  const pictures: readonly (readonly [string, string, Sharp])[] = [
    ["jpeg", ".jpg", picture().jpeg()],
    ["progressive", ".jpg", picture().jpeg({ progressive: true })],
    ["png", ".png", picture().png()],
    ["interlaced", ".png", picture().png({ progressive: true })],
    ["lzw", ".tif", picture().tiff({ compression: "lzw" })],
    ["tiled", ".tif", picture().tiff({ compression: "deflate", tile: true, tileWidth: 32, tileHeight: 32 })],
    ["lossy", ".webp", picture().webp()],
    ["lossless", ".webp", picture().webp({ lossless: true })],
  ];
  const folder = pictures.map(async ([name, ending, image]): Promise<Base> => {
    return { source: "folder", name, ending, bytes: await image.toBuffer() };
  });
  return [...(await Promise.all(folder)), ...volumes(), ...objects(), ...(await slides())];
}

function volumes(): readonly Base[] {
  const dims = [16, 16, 4] as const;
  const nifti = madeNifti({ dims, datatype: [4, 16], voxels: ball(...dims), slope: 1.5 });
  const fields = { type: "short", sizes: dims.join(" ") };
  const source = "volume";
  return [
    { source, name: "nifti", ending: ".nii", bytes: nifti },
    { source, name: "packed", ending: ".nii.gz", bytes: gzipSync(nifti) },
    { source, name: "nrrd", ending: ".nrrd", bytes: madeNrrd({ fields, voxels: ball(...dims) }) },
    {
      source,
      name: "gzip",
      ending: ".nrrd",
      bytes: madeNrrd({ fields: { ...fields, encoding: "gzip" }, voxels: ball(...dims) }),
    },
  ];
}

function objects(): readonly Base[] {
  const voxels = Int16Array.from({ length: 32 * 32 }, (_, i) => (i * 37) % 1000);
  const bytes = madeSlice({ columns: 32, rows: 32, voxels, position: [0, 0, 0], window: [500, 1000] });
  return [{ source: "dicom", name: "ct", ending: ".dcm", bytes }];
}

/** A plain pyramid, which both readers of slides take. */
async function slides(): Promise<readonly Base[]> {
  const tiled = sharp(await pattern(512, 512, 3).raw().toBuffer(), { raw: { width: 512, height: 512, channels: 3 } });
  const bytes = await tiled
    .tiff({ compression: "jpeg", tile: true, tileWidth: 256, tileHeight: 256, pyramid: true, xres: 2000, yres: 2000 })
    .toBuffer();
  return [{ source: "slide", name: "pyramid", ending: ".tif", bytes }];
}

export interface DamageScale {
  /** Bits flipped one at a time, of each format. */
  readonly flips: number;
  /** Places where each format is cut. */
  readonly cuts: number;
}

/** Every format with single bits flipped, mostly near the beginning, where they do more, and cut short. */
export async function* spoilt({ flips, cuts }: DamageScale): AsyncGenerator<HostileFile> {
  for (const base of await bases()) {
    // Opening a slide costs a hundred times what a photo does.
    const share = base.source === "slide" ? 0.1 : 1;
    yield* flipped(base, Math.ceil(flips * share));
    yield* cut(base, Math.ceil(cuts * share));
  }
}

function* flipped({ source, name, ending, bytes }: Base, flips: number): Generator<HostileFile> {
  const random = randomFor("hostile flips", name);
  for (let flip = 0; flip < flips; flip++) {
    const copy = Uint8Array.from(bytes);
    const place = random.integer(flip % 2 === 0 ? copy.length : Math.min(copy.length, 512));
    copy[place]! ^= 1 << random.integer(8);
    yield { source, id: `${name}-flip-${flip}${ending}`, bytes: copy, allowed: ["read", ...damaged, ...leftOut] };
  }
}

function* cut({ source, name, ending, bytes }: Base, cuts: number): Generator<HostileFile> {
  for (let place = 0; place < cuts; place++) {
    // Up to nine tenths: of the last bytes some are only trailers.
    const length = Math.floor((0.9 * bytes.length * place) / cuts);
    yield { source, id: `${name}-cut-${place}${ending}`, bytes: bytes.subarray(0, length), allowed: afterCut(source) };
  }
}

/** A DICOM object that ends between two elements is one without pixels; a pyramid may have lost smaller pictures only. */
function afterCut(source: SourceKind): readonly string[] {
  if (source === "dicom") return [...damaged, "no-pixels"];
  return source === "slide" ? ["read", ...damaged, ...leftOut] : damaged;
}

/** A directory that names an earlier one as its next. */
export function circularTiffs(): readonly HostileFile[] {
  const page = new Uint8Array(32 * 32 * 3).fill(90);
  const bytes = madeTiff({ width: 32, height: 32, pages: [page, page], circular: true });
  const allowed = ["read", ...damaged];
  return [
    { source: "folder", id: "circular.tif", bytes, allowed },
    { source: "slide", id: "circular.tif", bytes, allowed: [...allowed, ...leftOut] },
    { source: "slide", id: "circular.svs", bytes, allowed: [...allowed, ...leftOut] },
  ];
}
