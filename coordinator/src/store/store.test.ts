import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDatabase } from "./database.js";
import { lockHome } from "./lock.js";
import { migrate, migrations } from "./migrations.js";
import type { AttemptRow, RunRow } from "./run-store.js";
import { createRunStore } from "./sqlite-run-store.js";
import { UploadSpool } from "./upload-spool.js";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "store-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const run: RunRow = {
  runId: "run-1",
  requestId: "request-1",
  name: "run",
  configJson: "{}",
  status: "queued",
  reason: "",
  checkpointDigest: "aa",
  initialDigest: "aa",
  createdAtMs: 1,
  launchedBy: "fed://demo/researcher/r1",
  updatedAtMs: 1,
};

const attempt: AttemptRow = {
  key: { runId: "run-1", round: 1, attempt: 1 },
  kind: "selecting",
  stateJson: "{}",
  planBody: Buffer.from("plan"),
  planSignature: Buffer.from("signature"),
  parentDigest: "aa",
  recordJson: null,
};

describe("migrations", () => {
  it("run once, and leave a newer database alone", () => {
    const database = new Database(":memory:");
    migrate(database, 1);
    migrate(database, 2);
    const applied = migrations.map((_, index) => [index + 1, 1]);
    expect(database.prepare("SELECT version, applied_at_ms FROM migrations").raw().all()).toEqual(applied);
    expect(() => migrate(database, 3, migrations.slice(0, 1))).toThrow(/version \d, this program knows 1/);
  });

  it("leave nothing behind when a statement fails", () => {
    const database = new Database(":memory:");
    expect(() => migrate(database, 1, [...migrations, "CREATE TABLE extra (a TEXT) STRICT; NONSENSE"])).toThrow();
    expect(database.prepare("SELECT max(version) FROM migrations").pluck().get()).toBe(migrations.length);
    expect(database.prepare("SELECT name FROM sqlite_master WHERE name = 'extra'").all()).toEqual([]);
  });
});

describe("openDatabase()", () => {
  it("writes through to the disk before a commit returns", () => {
    const database = openDatabase(join(directory, "c.db"), 0);
    expect(database.pragma("journal_mode", { simple: true })).toBe("wal");
    expect(database.pragma("synchronous", { simple: true })).toBe(2);
    database.close();
  });
});

describe("lockHome()", () => {
  it("refuses a second owner until the first lets go", () => {
    const path = join(directory, "lock");
    const first = lockHome(path);
    expect(() => lockHome(path)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining("another coordinator is running"),
        remedy: expect.stringContaining("stop the coordinator"),
      }),
    );
    first.release();
    lockHome(path).release();
  });
});

describe("run store", () => {
  const open = () => {
    const database = openDatabase(join(directory, "c.db"), 0);
    return { database, store: createRunStore(database) };
  };

  it("returns the run that the same request made before", () => {
    const { store } = open();
    expect(store.addRun(run)).toEqual(run);
    expect(store.addRun({ ...run, runId: "run-2" }).runId).toBe("run-1");
    expect(store.listRuns()).toHaveLength(1);
  });

  it("writes state, message and upload together or not at all", () => {
    const { store } = open();
    store.addRun(run);
    store.addAttempt(attempt);
    const message = { siteId: "a", stage: "share" as const, digest: Buffer.from("d"), bytes: Buffer.from("m") };
    store.advance({ key: attempt.key, kind: "sharing", stateJson: "1", message, nowMs: 2 });
    expect(() => store.advance({ key: attempt.key, kind: "later", stateJson: "2", message, nowMs: 3 })).toThrow(
      /UNIQUE/,
    );
    expect(store.findAttempt(attempt.key)).toMatchObject({ kind: "sharing", stateJson: "1" });
    expect(store.listMessages(attempt.key, "share")).toHaveLength(1);
  });

  it("keeps what was committed across a restart, and commits a round once", () => {
    const first = open();
    first.store.addRun(run);
    first.store.addAttempt(attempt);
    const commit = {
      recordJson: '{"round":1}',
      checkpointDigest: "bb",
      result: { body: new Uint8Array([1]), signature: new Uint8Array([2]) },
      status: "paused" as const,
      reason: "collapsed",
    };
    first.store.advance({ key: attempt.key, kind: "committed", stateJson: "1", commit, nowMs: 2 });
    first.database.close();
    const { store } = open();
    expect(store.findRun("run-1")).toMatchObject({
      checkpointDigest: "bb",
      status: "paused",
      reason: "collapsed",
      updatedAtMs: 2,
    });
    expect(store.listRecords("run-1")).toEqual(['{"round":1}']);
    const [result, ...others] = store.listResults("run-1", 1);
    expect({ ...result, body: [...result!.body], signature: [...result!.signature] }).toEqual({
      ...{ round: attempt.key.round, body: [1], signature: [2] },
    });
    expect([...others, ...store.listResults("run-1", attempt.key.round + 1)]).toEqual([]);
    expect(() => store.advance({ key: attempt.key, kind: "aborted", stateJson: "2", nowMs: 3 })).toThrow(/committed/);
    const second = { ...attempt, key: { ...attempt.key, attempt: 2 } };
    store.addAttempt(second);
    expect(() => store.advance({ key: second.key, kind: "committed", stateJson: "3", commit, nowMs: 4 })).toThrow(
      /UNIQUE/,
    );
  });

  it("finds the newest attempt and forgets its messages", () => {
    const { store } = open();
    store.addRun(run);
    for (const [round, number] of [
      [1, 2],
      [2, 1],
      [1, 3],
    ] as const) {
      store.addAttempt({ ...attempt, key: { runId: "run-1", round, attempt: number } });
    }
    const newest = store.newestAttempt("run-1");
    expect(newest?.key).toEqual({ runId: "run-1", round: 2, attempt: 1 });
    const upload = { siteId: "a", path: "p", bytes: 4, sha256: Buffer.from("s"), signature: Buffer.from("n") };
    store.advance({ key: newest!.key, kind: "uploading", stateJson: "1", upload, nowMs: 1 });
    expect(store.findUpload(newest!.key, "a")).toEqual(upload);
    store.eraseMessages(newest!.key);
    expect(store.listUploads(newest!.key)).toEqual([]);
  });
});

describe("UploadSpool", () => {
  const key = { runId: "run-1", round: 1, attempt: 1 };

  it("keeps two overlapping streams of one site apart", async () => {
    const spool = new UploadSpool(join(directory, "spool"));
    const [one, other] = [await spool.begin(key, "a"), await spool.begin(key, "a")];
    await one.write(Buffer.from("one"));
    await other.write(Buffer.from("other"));
    const kept = [await one.keep(), await other.keep()];
    expect(kept.map((upload) => upload.bytes)).toEqual([3, 5]);
    expect(kept[0]!.path).not.toBe(kept[1]!.path);
  });

  it("takes only so many streams of one site at once, and others' all the same", async () => {
    const spool = new UploadSpool(join(directory, "spool"));
    const { key } = attempt;
    const writers = await Promise.all([1, 2, 3, 4].map(() => spool.begin(key, "a")));
    await expect(spool.begin(key, "a")).rejects.toMatchObject({ code: "overloaded" });
    const other = await spool.begin(key, "b");
    await writers[0]!.write(Buffer.from("masked"));
    await writers[0]!.keep();
    const next = await spool.begin(key, "a");
    for (const writer of [...writers, other, next]) await writer.discard();
    expect(readdirSync(join(directory, "spool", "run-1", "1", "1"))).toHaveLength(1);
  });

  it("sweeps what an earlier process left, but not the attempt that goes on", async () => {
    const spool = new UploadSpool(join(directory, "spool"));
    const live = await spool.begin(key, "a");
    await live.write(Buffer.from("x"));
    const kept = await live.keep();
    const dead = await spool.begin({ ...key, attempt: 2 }, "a");
    await dead.write(Buffer.from("y"));
    const old = await dead.keep();
    await spool.begin(key, "b");
    spool.sweep([key]);
    expect(existsSync(spool.pathOf(kept))).toBe(true);
    expect(existsSync(spool.pathOf(old))).toBe(false);
    expect(readdirSync(join(directory, "spool", "run-1", "1", "1"))).toHaveLength(1);
  });
});
