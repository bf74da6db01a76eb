import { readdir, rm, stat } from "node:fs/promises";
import { join, parse } from "node:path";
import type { SiteHome } from "./home.js";

/** What a run that was not heard of for this long left behind is removed: optimiser state and an unused update. */
export const runRetentionMs = 30 * 24 * 3600 * 1000;

/** Returns the ids of the runs that were removed. A run is as old as the newest of its traces. */
export async function removeOldRuns(home: SiteHome, nowMs: number): Promise<string[]> {
  const traces = [...(await entries(home.runs)), ...(await entries(home.updates)), ...(await entries(home.models))];
  const lastUsedMs = new Map<string, number>();
  for (const { runId, usedMs } of traces) lastUsedMs.set(runId, Math.max(usedMs, lastUsedMs.get(runId) ?? 0));
  const old = [...lastUsedMs].filter(([, usedMs]) => nowMs - usedMs > runRetentionMs).map(([runId]) => runId);
  for (const { runId, path } of traces) {
    if (old.includes(runId)) await rm(path, { recursive: true, force: true });
  }
  return old;
}

async function entries(directory: string): Promise<{ runId: string; path: string; usedMs: number }[]> {
  const names = await readdir(directory).catch(() => []);
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const runId = name.endsWith(".json") ? parse(name).name : name;
      return { runId, path, usedMs: (await stat(path)).mtimeMs };
    }),
  );
}
