import { mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { putImages } from "./augment-images.js";
import type { BenchOptions, BenchResult } from "./bench.js";
import type { DataShape } from "./data-process.js";
import { measureIndex } from "./index-memory.js";
import { pythonWith } from "./peer-python.js";
import { median, rate, round } from "./rates.js";
import { StepProcess } from "./step-process.js";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const ownData = here("../../../shared/data");

/** DICOM's JPEG 2000, lossless and not. */
const jpeg2000 = ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"];

interface Case {
  readonly shape: DataShape;
  /** Of the peer, with its library's name as Python imports it; absent: there is none. */
  readonly peer?: { readonly module: string; readonly packages: string; readonly argument: object };
  readonly perTurn: number;
}

/**
 * How fast a source's images are read: items per second of one core's time, whatever else the machine does.
 * `--source derm` makes 224-pixel crops of 1024-pixel JPEG files, `cxr-dicom` reads JPEG 2000 radiographs, `slide`
 * 256-pixel tiles of an SVS, `volume` slices of a NIfTI file; `index` indexes a million items and says the memory.
 * With `--against python` what Python's libraries need for the same takes turns; `ratio` is ours over theirs.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const kind = options.text("source", "derm");
  if (kind === "index") return measureIndex(options.number("items", 1_000_000));
  const home = await mkdtemp(join(tmpdir(), "consilium-data-"));
  try {
    const chosen = await caseOf(kind, { data: options.text("data", ownData), home });
    const against = options.text("against", "");
    if (against !== "" && against !== "python") throw new Error(`--against ${against}: only python is known`);
    const peer = against === "" ? undefined : await startPeer(chosen, kind);
    return { source: kind, ...(await measure(chosen, options.number("turns", 6), peer)) };
  } finally {
    await rm(home, { recursive: true });
  }
}

async function caseOf(kind: string, { data, home }: { data: string; home: string }): Promise<Case> {
  switch (kind) {
    case "derm":
      return dermCase(home, join(data, "derm/isic_uda1_fullres/images"));
    case "cxr-dicom":
      return radiographCase(join(data, "cxr/dicom"));
    case "slide":
      return slideCase(home, join(data, "slides/wsi/CMU-1-Small-Region.svs"));
    case "volume":
      return { shape: { settings: { source: "volume", path: join(data, "volumes/nifti") } }, perTurn: 100 };
    default:
      throw new Error(`--source ${kind}: use derm, cxr-dicom, slide, volume or index`);
  }
}

async function dermCase(folder: string, from: string): Promise<Case> {
  await putImages({ folder, count: 26, from });
  const files = (await readdir(folder)).sort().map((name) => join(folder, name));
  return {
    shape: { settings: { path: folder }, crop: 224 },
    peer: { module: "PIL", packages: "pillow numpy", argument: { files, crop: 224 } },
    perTurn: 52,
  };
}

async function radiographCase(path: string): Promise<Case> {
  const files = (await readdir(path)).filter((name) => name.includes("j2k")).map((name) => join(path, name));
  return {
    // Every pixel, as the peer does.
    shape: { settings: { source: "dicom", path, workingSize: 16_384 }, syntaxes: jpeg2000 },
    peer: { module: "pydicom", packages: "pydicom pillow numpy", argument: { files } },
    perTurn: 2 * files.length,
  };
}

async function slideCase(home: string, file: string): Promise<Case> {
  await symlink(file, join(home, basename(file)));
  const slide = { tileSize: 256, micrometresPerPixel: 0.499, minTissue: 0, rejectBlur: false };
  return {
    shape: { settings: { source: "slide", path: home, slide } },
    peer: { module: "openslide", packages: "openslide-python numpy", argument: { files: [file] } },
    perTurn: 80,
  };
}

async function startPeer({ peer }: Case, kind: string): Promise<readonly [StepProcess, Record<string, unknown>]> {
  if (peer === undefined) throw new Error(`--against python: nothing to compare ${kind} with`);
  const { module, packages, argument } = peer;
  const python = pythonWith({ asking: "--against python", module, packages }, process.env);
  return StepProcess.start(python, [here("peers/read_images.py"), JSON.stringify({ kind, ...argument })]);
}

type Peer = Awaited<ReturnType<typeof startPeer>>;

async function measure({ shape, perTurn }: Case, turns: number, peer: Peer | undefined): Promise<BenchResult> {
  const tsx = ["--import", createRequire(import.meta.url).resolve("tsx")];
  const [ours, ready] = await StepProcess.start(process.execPath, [
    ...tsx,
    here("data-process.ts"),
    JSON.stringify(shape),
  ]);
  try {
    const mine: number[] = [];
    const theirs: number[] = [];
    await ours.steps(perTurn);
    await peer?.[0].steps(perTurn);
    for (let turn = 0; turn < turns; turn++) {
      mine.push(...(await ours.steps(perTurn)));
      if (peer !== undefined) theirs.push(...(await peer[0].steps(perTurn)));
    }
    const figures = {
      items: Number(ready["items"]),
      itemsPerCoreSecond: rate(mine),
      peakRssMiB: round(await ours.peakRssMiB(), 0),
    };
    if (peer === undefined) return figures;
    const ratios = theirs.map((time, turn) => time / mine[turn]!);
    return {
      ...figures,
      ...{ peer: String(peer[1]["library"]), peerItemsPerCoreSecond: rate(theirs), ratio: round(median(ratios)) },
      ratioSpread: `${round(Math.min(...ratios))}–${round(Math.max(...ratios))}`,
    };
  } finally {
    ours.stop();
    peer?.[0].stop();
  }
}
