import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { BenchResult } from "./bench.js";
import { round } from "./rates.js";

/** What indexing so many items takes, in a process of its own. */
export async function measureIndex(count: number): Promise<BenchResult> {
  const entry = fileURLToPath(new URL("./index-memory-process.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [entry, String(count)]);
  const figures = Object.entries(JSON.parse(stdout) as Record<string, number>);
  return { source: "index", ...Object.fromEntries(figures.map(([name, value]) => [name, round(value)])) };
}
