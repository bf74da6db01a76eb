import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SiteHome, siteHome } from "./home.js";
import { removeOldRuns, runRetentionMs } from "./retention.js";

let home: SiteHome;
beforeEach(() => {
  home = siteHome(mkdtempSync(join(tmpdir(), "retention-")));
});
afterEach(() => rmSync(home.root, { recursive: true, force: true }));

const nowMs = Date.UTC(2026, 5, 1);

function trace(path: string, ageMs: number): void {
  const used = new Date(nowMs - ageMs);
  utimesSync(path, used, used);
}

describe("removeOldRuns", () => {
  it("removes all traces of runs not heard of for long, and keeps a run with one fresh trace", async () => {
    for (const runId of ["old", "fresh", "half"]) {
      mkdirSync(join(home.runs, runId), { recursive: true });
      mkdirSync(home.updates, { recursive: true });
      writeFileSync(join(home.updates, `${runId}.json`), "{}");
      trace(join(home.runs, runId), runId === "fresh" ? 0 : 2 * runRetentionMs);
      trace(join(home.updates, `${runId}.json`), runId === "old" ? 2 * runRetentionMs : 0);
    }
    expect(await removeOldRuns(home, nowMs)).toEqual(["old"]);
    expect(existsSync(join(home.runs, "old"))).toBe(false);
    expect(existsSync(join(home.updates, "old.json"))).toBe(false);
    expect(existsSync(join(home.runs, "half"))).toBe(true);
    expect(existsSync(join(home.updates, "fresh.json"))).toBe(true);
  });

  it("finds nothing to do in a new home", async () => {
    expect(await removeOldRuns(home, nowMs)).toEqual([]);
  });
});
