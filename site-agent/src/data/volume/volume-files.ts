import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { AbortedError } from "@consilium/shared/errors.js";
import { chooseFiles, stampOf } from "../chosen-files.js";
import type { DataSettings } from "../data-settings.js";
import { hasDicomName } from "../dicom/dicom-source.js";
import type { SourceFile } from "../source.js";
import { hasVolumeName } from "./read-volume.js";

/** The folder itself, as the id of the series that lie in it directly. */
const here = ".";

/**
 * What there is below the settings' path: each volume file, and each folder with DICOM files in it as one entry for the
 * series there, whose stamp covers all of them. A labels file names volume files, folders of DICOM files, or single ones
 * with several frames. Ids in order.
 */
export async function* volumeFiles(settings: DataSettings, signal?: AbortSignal): AsyncGenerator<SourceFile> {
  const known = new Set<string>();
  for (const { id, row } of await chooseFiles(settings, ({ id: name }) => isWanted(name))) {
    if (signal?.aborted) throw new AbortedError();
    const place = row === undefined && !hasVolumeName(id) ? dirname(id) : id;
    if (known.has(place)) continue;
    known.add(place);
    yield { id: place, stamp: await stampOfPlace(settings.path, place), ...(row === undefined ? {} : { row }) };
  }
}

function isWanted(id: string): boolean {
  return hasVolumeName(id) || hasDicomName({ id });
}

async function stampOfPlace(root: string, id: string): Promise<string> {
  if (/\.nhdr$/i.test(id)) return digest(await stampsOf(root, await besides(root, id)));
  if (hasVolumeName(id)) return stampOf(join(root, id));
  return digest(await stampsOf(root, await dicomFiles(root, id)));
}

/** A detached header and the files beside it with the same name, among which its voxels are. */
async function besides(root: string, id: string): Promise<readonly string[]> {
  const folder = dirname(id);
  const stem = basename(id, extname(id));
  const names = await readdir(join(root, folder)).catch(() => []);
  return names.filter((name) => name.startsWith(`${stem}.`)).map((name) => `${folder}/${name}`);
}

/**
 * @param id a folder, or a file
 * @returns the ids of the DICOM files directly in the folder, in order; the file itself; none where nothing is there
 */
export async function dicomFiles(root: string, id: string): Promise<readonly string[]> {
  const path = join(root, id);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) return [id];
  const entries = await readdir(path, { withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith(".") && hasDicomName({ id: entry.name }))
    .map(({ name }) => (id === here ? name : `${id}/${name}`))
    .sort();
}

async function stampsOf(root: string, ids: readonly string[]): Promise<readonly string[]> {
  const stamps: string[] = [];
  for (const id of [...ids].sort()) stamps.push(`${id} ${await stampOf(join(root, id))}`);
  return stamps;
}

function digest(stamps: readonly string[]): string {
  return createHash("sha256").update(stamps.join("\n")).digest("base64url").slice(0, 22);
}
