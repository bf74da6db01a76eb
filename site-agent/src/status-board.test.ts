import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { expect, it } from "vitest";
import { StatusBoard } from "./status-board.js";
import { readStatus, writeStatus } from "./status-file.js";

it("keeps what a run trains on through its rounds, and in the file", () => {
  const folder = mkdtempSync(join(tmpdir(), "status-board-"));
  const path = join(folder, "status.json");
  try {
    const facts = { pid: 1, agentVersion: "1", federation: "demo", siteId: "site-a", coordinator: "c:1" };
    const board = new StatusBoard(facts, {
      clock: new ManualClock(1000),
      publish: (status) => writeStatus(path, status),
    });
    const engine = { device: "webgpu", precision: "mixed", reason: "asked for", cache: "hit", compileMs: 400 } as const;
    board.prepared({ runId: "run-1", ...engine, notKept: "ENOSPC" });
    board.state({ kind: "training", key: { runId: "run-1", round: 1, attempt: 1 }, stepsDone: 0 });
    board.connection(true, undefined);
    expect(readStatus(path)).toMatchObject({ state: "training", engine });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
