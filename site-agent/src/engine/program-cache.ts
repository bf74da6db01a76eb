import { createHash } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { readModelFile, temporarySuffix, writeModelFile } from "./cache-file.js";
import { codeDigest } from "./code-digest.js";
import type { CacheOutcome } from "./compile-report.js";
import type { CompiledModel } from "./compiled-model.js";
import type { OptimizeOptions } from "./passes/optimize.js";
import type { Program } from "./program.js";

/** Compiled programs on disk, one file each, named by a digest of everything that decides what is in it. */

export interface CacheRequest {
  /** Absent: nothing is read or kept. */
  readonly directory: string | undefined;
  readonly program: Program;
  readonly options: OptimizeOptions;
  /** What else decides the compiled model, such as the device whose runtime optimised it. */
  readonly variant?: string;
  /** Bytes that the folder may hold; what was unused for longest goes first. */
  readonly maxBytes?: number;
  compile(): CompiledModel | Promise<CompiledModel>;
}

export interface CachedModel extends CompiledModel {
  readonly cache: CacheOutcome;
  /** Why it could not be kept for the next time, such as "ENOSPC". */
  readonly notKept?: string;
}

const defaultMaxBytes = 1024 ** 3;
const suffix = ".program";

/** What a killed process was writing is removed after this time. */
const abandonedAfterMs = 3_600_000;

/**
 * The compiled model of a program, from the folder where it is there. Programs without description are never cached.
 * A file that cannot be used is removed and compiled anew; trouble with the folder never keeps a program from running.
 * @throws what `compile` throws
 */
export async function cachedModel(request: CacheRequest): Promise<CachedModel> {
  const place = placeOf(request);
  if (place === undefined) return { ...(await request.compile()), cache: "off" };
  const found = await find(place);
  if (typeof found === "object") return { ...found, cache: "hit" };
  const model = await request.compile();
  const notKept = await keep(place, model, request.maxBytes ?? defaultMaxBytes);
  return { ...model, cache: found, ...(notKept === undefined ? {} : { notKept }) };
}

/** Removes what is kept for a program, after a runtime refused it. */
export async function forgetModel(request: Omit<CacheRequest, "compile">): Promise<void> {
  const place = placeOf(request);
  if (place !== undefined) await remove(place.path);
}

interface Place {
  readonly directory: string;
  readonly key: string;
  readonly path: string;
}

function placeOf(request: Omit<CacheRequest, "compile">): Place | undefined {
  const { directory, program } = request;
  if (directory === undefined || program.description === undefined) return undefined;
  try {
    const key = programKey(request, codeDigest());
    return { directory, key, path: join(directory, `${key}${suffix}`) };
  } catch {
    // Without its own code to compare, an old model could be mistaken for a current one.
    return undefined;
  }
}

/** SHA-256, hex. */
export function programKey(
  { program, options, variant }: Pick<CacheRequest, "program" | "options" | "variant">,
  code: string,
): string {
  const { name, description, inputs } = program;
  // The order of the inputs is part of the model.
  const deciding = { code, name, description, inputs: Object.entries(inputs), options, variant };
  return createHash("sha256").update(canonicalJson(deciding)).digest("hex");
}

async function find({ path, key }: Place): Promise<CompiledModel | "miss" | "damaged"> {
  try {
    return await readModelFile(path, key);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return "miss";
    await remove(path);
    return "damaged";
  }
}

/** @returns why it was not kept */
async function keep(
  { directory, key, path }: Place,
  model: CompiledModel,
  maxBytes: number,
): Promise<string | undefined> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeModelFile(path, key, model);
    await removeOldest(directory, maxBytes);
    return undefined;
  } catch (cause) {
    return codeOf(cause);
  }
}

async function removeOldest(directory: string, maxBytes: number): Promise<void> {
  const files = await filesIn(directory);
  const abandoned = files.filter(({ path, usedMs }) => {
    return path.endsWith(temporarySuffix) && Date.now() - usedMs > abandonedAfterMs;
  });
  const newestFirst = files.filter(({ path }) => path.endsWith(suffix)).sort((a, b) => b.usedMs - a.usedMs);
  let total = 0;
  const tooMuch = newestFirst.filter(({ size }) => {
    total += size;
    return total > maxBytes;
  });
  await Promise.all([...abandoned, ...tooMuch].map(({ path }) => remove(path)));
}

async function filesIn(directory: string): Promise<{ path: string; size: number; usedMs: number }[]> {
  const names = await readdir(directory);
  const files = names.map(async (name) => {
    const path = join(directory, name);
    // Another process may have removed it meanwhile.
    const { size = 0, mtimeMs = 0 } = (await stat(path).catch(() => undefined)) ?? {};
    return { path, size, usedMs: mtimeMs };
  });
  return Promise.all(files);
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true, recursive: true }).catch(() => {});
}

function codeOf(cause: unknown): string {
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return cause instanceof Error ? cause.message : String(cause);
}
