import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";

export interface FoundFile {
  /** Path below the folder, with forward slashes. */
  readonly id: string;
  readonly isImage: boolean;
}

const imageName = /\.(?:jpe?g|jfif|png|tiff?|webp)$/i;

export function hasImageName(id: string): boolean {
  return imageName.test(id);
}

/** Files that begin with a dot belong to the operating system, such as macOS's `._x.jpg`. */
const isHidden = (name: string): boolean => name.startsWith(".") || name === "__MACOSX";

export function folderFailure(path: string, cause: unknown): ConsiliumError {
  return new ConsiliumError("input-unreadable", `image folder ${path} ${pathTrouble(cause)}`, {
    remedy: "check that the path is a folder, is mounted, and may be read by the agent's user",
    cause,
  });
}

const troubles: Readonly<Record<string, string>> = {
  ENOENT: "is not there",
  ENOTDIR: "is not a folder",
  EACCES: "may not be used by this user",
  EPERM: "may not be used by this user",
};

/** What the system said about a path, as the end of a sentence that begins with it. */
export function pathTrouble(cause: unknown): string {
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  return troubles[code] ?? `cannot be read (${code})`;
}

/**
 * Every file below a folder, in the order of their ids' code units whatever the file system's order is. Symbolic links
 * are followed, each folder once.
 * @throws ConsiliumError "input-unreadable"
 */
export async function findFiles(root: string): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  const visited = new Set<string>();
  const pending = [""];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const { folders, files } = await listFolder(root, folder, visited);
    pending.push(...folders);
    for (const id of files) found.push({ id, isImage: hasImageName(id) });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

interface Listing {
  readonly folders: string[];
  readonly files: string[];
}

async function listFolder(root: string, folder: string, visited: Set<string>): Promise<Listing> {
  const listing: Listing = { folders: [], files: [] };
  const path = join(root, folder);
  try {
    const real = await realpath(path);
    if (visited.has(real)) return listing;
    visited.add(real);
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (isHidden(entry.name)) continue;
      const id = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const kind = await kindOf(entry, join(path, entry.name));
      if (kind === "folder") listing.folders.push(id);
      else if (kind === "file") listing.files.push(id);
    }
  } catch (cause) {
    throw folderFailure(folder === "" ? root : `a folder below ${root}`, cause);
  }
  return listing;
}

/** A link to nowhere counts as a file, so that it is reported as missing rather than passed over. */
async function kindOf(entry: Dirent, path: string): Promise<"folder" | "file" | "other"> {
  if (!entry.isSymbolicLink()) return entry.isDirectory() ? "folder" : entry.isFile() ? "file" : "other";
  try {
    const target = await stat(path);
    return target.isDirectory() ? "folder" : target.isFile() ? "file" : "other";
  } catch {
    return "file";
  }
}
