import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { DataSettings, SourceKind } from "@consilium/site-agent/data/data-settings.js";
import type { HostileFile, Outcome } from "./hostile-file.js";
import type { Said } from "./read-process.js";

export interface Reading {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Most time of processors that one file took: machines may be busy with other things. */
  readonly slowestMilliseconds: number;
  /** Largest resident memory of the reading process. */
  readonly peakBytes: number;
}

/** After it a file counts as one that never ends. */
const patienceMilliseconds = 60_000;
const heapMegabytes = 512;
const entry = fileURLToPath(new URL("read-process.ts", import.meta.url));

/**
 * Reads a folder in a process of its own, so that a crash, a hang and memory show.
 * @throws Error naming the file at which the process ended early or was ended for taking too long
 */
export async function readFolder(
  settings: Partial<DataSettings> & Pick<DataSettings, "path" | "source">,
): Promise<Reading> {
  const args = ["--import", "tsx", `--max-old-space-size=${heapMegabytes}`, entry, JSON.stringify(settings)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const errors: string[] = [];
  child.stderr.on("data", (text: Buffer) => errors.push(text.toString()));
  const outcomes = new Map<string, Outcome>();
  let [opening, slowestMilliseconds, peakBytes] = ["the start", 0, Number.NaN];
  let patience = setTimeout(() => child.kill("SIGKILL"), patienceMilliseconds);
  for await (const line of createInterface(child.stdout)) {
    clearTimeout(patience);
    patience = setTimeout(() => child.kill("SIGKILL"), patienceMilliseconds);
    // Decoders may print as well.
    if (!line.startsWith('{"type"')) continue;
    const said = JSON.parse(line) as Said;
    if (said.type === "opening") opening = said.id;
    else if (said.type === "end") peakBytes = said.peakBytes;
    else {
      outcomes.set(said.id, said.outcome);
      slowestMilliseconds = Math.max(slowestMilliseconds, said.cpuMilliseconds);
    }
  }
  clearTimeout(patience);
  if (Number.isNaN(peakBytes)) throw new Error(`ended at ${opening}: ${errors.join("").slice(-2000)}`);
  return { outcomes, slowestMilliseconds, peakBytes };
}

/** Writes files below one folder for each kind of source. @returns what was written, by kind */
export async function placeFiles(
  root: string,
  files: AsyncIterable<HostileFile> | Iterable<HostileFile>,
): Promise<ReadonlyMap<SourceKind, ReadonlyMap<string, HostileFile["allowed"]>>> {
  const placed = new Map<SourceKind, Map<string, HostileFile["allowed"]>>();
  for await (const { source, id, bytes, allowed } of files) {
    const path = join(root, source, id);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
    placed.set(source, (placed.get(source) ?? new Map<string, HostileFile["allowed"]>()).set(id, allowed));
  }
  return placed;
}

/** @returns files with another outcome than those that are allowed, in words */
export function surprises(allowed: ReadonlyMap<string, readonly Outcome[]>, { outcomes }: Reading): readonly string[] {
  return [...allowed].flatMap(([id, expected]) => {
    const outcome = outcomes.get(id) ?? "not seen";
    return expected.includes(outcome) ? [] : [`${id}: ${outcome}, not ${expected.join(" or ")}`];
  });
}
