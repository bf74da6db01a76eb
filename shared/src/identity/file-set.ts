import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isMissing, readText, syncDirectory, writePrivateFile, writePublicFile } from "../durable-files.js";
import { ConsiliumError } from "../errors.js";

/** One of several files of a folder that make sense only together. */
export interface SetFile {
  /** Name within the folder. */
  readonly name: string;
  /** Undefined removes the file. */
  readonly content: string | undefined;
  /** Readable by the owner alone. */
  readonly secret?: boolean;
}

/** Holds what is being written, until it is written: whoever finds it goes by it, not by the files. */
const journalName = "replacing.json";
const journalSchema = z.array(z.strictObject({ name: z.string(), content: z.string().nullable() }));

/** Replaces the files as one: once it resolves all of them are on disk, and after a crash all are old or all are new. */
export async function writeTogether(directory: string, files: readonly SetFile[]): Promise<void> {
  const journal = join(directory, journalName);
  const entries = files.map(({ name, content }) => ({ name, content: content ?? null }));
  await writePrivateFile(journal, JSON.stringify(entries));
  for (const { name, content, secret } of files) {
    const path = join(directory, name);
    if (content === undefined) await rm(path, { force: true });
    else if (secret) await writePrivateFile(path, content);
    else await writePublicFile(path, content);
  }
  await rm(journal);
  await syncDirectory(directory);
}

/**
 * Texts of files that writeTogether wrote, in the order of their names.
 * Throws config-missing for the first one that is not there, input-unreadable where one cannot be read.
 */
export async function readTogether(directory: string, names: readonly string[]): Promise<string[]> {
  const replacing = await readJournal(join(directory, journalName));
  const texts: string[] = [];
  // One after the other, so that of several missing files always the same one is named.
  for (const name of names) texts.push(replacing.get(name) ?? (await readText(join(directory, name))));
  return texts;
}

/** As readTogether for one file that may be missing: then undefined. */
export async function readOptional(directory: string, name: string): Promise<string | undefined> {
  const replacing = await readJournal(join(directory, journalName));
  const pending = replacing.get(name);
  if (pending !== undefined) return pending ?? undefined;
  try {
    return await readText(join(directory, name));
  } catch (thrown) {
    if (thrown instanceof ConsiliumError && isMissing(thrown.cause)) return undefined;
    throw thrown;
  }
}

/** A journal is whole or not there, since it is written atomically. */
async function readJournal(path: string): Promise<Map<string, string | null>> {
  let text: string;
  try {
    text = await readText(path);
  } catch (thrown) {
    if (thrown instanceof ConsiliumError && isMissing(thrown.cause)) return new Map();
    throw thrown;
  }
  try {
    return new Map(journalSchema.parse(JSON.parse(text)).map(({ name, content }) => [name, content]));
  } catch (cause) {
    throw new ConsiliumError("input-unreadable", `${path} is damaged.`, {
      remedy: "Restore the folder from a backup.",
      cause,
    });
  }
}
