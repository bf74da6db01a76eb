import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ManualClock } from "@consilium/shared/clock.js";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { AuditEntry, AuditEvent } from "./audit-entry.js";
import { readEntries } from "./read-log.js";
import { listSegments } from "./segments.js";
import { linesOf, newDirectory, rewrite, someEvent, testIdentity, testLog } from "./test-log.js";
import { verifyLog } from "./verify-log.js";

let directory: string;
beforeEach(() => {
  directory = newDirectory();
});

const verify = () => verifyLog(directory, testIdentity.publicKey);
const entries = () => [...readEntries(directory)];
const actions = () => entries().map(({ action }) => action);

const released = (attempt = 0): AuditEvent => ({
  action: "message.released",
  object: { run: "run-1", round: 1, attempt, kind: "upload", bytes: 5 },
});

describe("an audit log", () => {
  it("chains what it is told", () => {
    const log = testLog(directory);
    log.record({ ...someEvent(), outcome: "failure", reason: "storage" });
    log.record(released());
    log.close();
    const [first, second, third] = entries();
    expect(first).toMatchObject({ seq: 1, prev: "0".repeat(64), outcome: "failure", reason: "storage", mono: 1 });
    expect(first).toMatchObject({ ts: "2026-01-15T00:00:00.000Z", actor: "agent", role: "agent", corrId: "run-1/1/0" });
    expect(second?.prev).toBe(first?.hash);
    expect(third).toMatchObject({ action: "log.checkpoint", object: { covers: 2, head: second?.hash } });
  });

  it("goes on where it ended", () => {
    for (let start = 0; start < 3; start++) {
      const log = testLog(directory);
      log.record(someEvent(start));
      log.close();
    }
    expect(verify()).toMatchObject({ intact: true, entries: 6, checkpoints: 3 });
  });

  it("signs after 256 entries at the latest", () => {
    const log = testLog(directory);
    for (let index = 0; index < 600; index++) log.record(someEvent(index));
    expect(verify()).toMatchObject({ intact: true, entries: 602, checkpoints: 2, unsigned: 88 });
    log.close();
  });

  it("syncs before it returns, where something leaves the building", () => {
    const calls: string[] = [];
    const write = (file: number, bytes: Uint8Array, at: number) => {
      calls.push("write");
      appendFileSync(file, bytes.subarray(at));
      return bytes.length - at;
    };
    const log = testLog(directory, { disk: { write, sync: () => calls.push("sync") } });
    log.record(someEvent());
    log.record(someEvent());
    expect(calls).toEqual(["write", "write"]);
    log.record(released());
    expect(calls).toEqual(["write", "write", "write", "sync"]);
  });

  it("takes no text that is no id, code or count", () => {
    const log = testLog(directory);
    const bad: AuditEvent[] = [
      { ...someEvent(), reason: "no such file: /srv/images/Mustermann-Max.dcm" },
      { action: "plan.refused", object: { run: "Mustermann Max", round: 1, attempt: 0 } },
      { action: "plan.refused", object: { run: "../x", round: 1, attempt: 0 } },
      { action: "plan.refused", object: { run: "r", round: 1.5, attempt: 0 } },
      { action: "plan.refused", object: Object.assign({ run: "r", round: 1, attempt: 0 }, { path: "x" }) },
    ];
    for (const event of bad) expect(() => log.record(event)).toThrow("holds what entries must not");
    log.close();
    expect(entries()).toEqual([]);
  });

  it("is written and verified fast: 100 000 entries", () => {
    const log = testLog(directory, { segmentBytes: 8 << 20 });
    const started = performance.now();
    for (let index = 0; index < 100; index++) {
      log.recordAll(Array.from({ length: 1000 }, (_, at) => someEvent(index * 1000 + at)));
    }
    log.close();
    const written = performance.now();
    expect(verify()).toMatchObject({ intact: true });
    console.info(
      `audit log: ${Math.round(written - started)} ms to write, ${Math.round(performance.now() - written)} ms to verify`,
    );
    // Loose, since other work shares the machine: 30 µs and 40 µs an entry are usual.
    expect(performance.now() - started).toBeLessThan(60_000);
  }, 90_000);
});

describe("files of a log", () => {
  it("follow each other by size, with the hash carried over", () => {
    const log = testLog(directory, { segmentBytes: 5000 });
    for (let index = 0; index < 50; index++) log.record(someEvent(index));
    log.close();
    const files = listSegments(directory);
    expect(files.map(({ number }) => number)).toEqual(files.map((_, index) => index + 1));
    expect(readFileSync(files[1]!.path, "utf8")).toContain('"action":"log.rotated"');
    expect(verify().intact).toBe(true);
  });

  it("go when they are older than the retention, and the log says so", () => {
    const clock = new ManualClock(Date.UTC(2020, 0, 1));
    const log = testLog(directory, { clock, segmentBytes: 2500, retentionMs: 86_400_000 });
    for (let index = 0; index < 30; index++) {
      log.record(someEvent(index));
      clock.advance(3_600_000 * 6);
    }
    log.close();
    expect(listSegments(directory)[0]!.number).toBeGreaterThan(2);
    expect(actions()).toContain("log.retired");
    expect(verify()).toMatchObject({ intact: true });
    expect(entries()[0]!.seq).toBeGreaterThan(1);
  });
});

describe("a log after a crash", () => {
  it("keeps a torn last line aside and says so, wherever it was cut", () => {
    const log = testLog(directory);
    for (let index = 0; index < 5; index++) log.record(someEvent(index));
    const [{ path } = { path: "" }] = listSegments(directory);
    const whole = readFileSync(path);
    const start = whole.subarray(0, -1).lastIndexOf(0x0a) + 1;
    fc.assert(
      fc.property(fc.integer({ min: start + 1, max: whole.length - 1 }), (cut) => {
        directory = newDirectory();
        mkdirSync(directory);
        writeFileSync(join(directory, "audit-000001.jsonl"), whole.subarray(0, cut));
        expect(verify().broken).toMatchObject({ kind: "truncated", line: 5, reason: "the last line is not whole" });
        const next = testLog(directory);
        next.record(someEvent(9));
        next.close();
        expect(verify()).toMatchObject({ intact: true, entries: 7, recovered: 1 });
        const aside = readdirSync(directory).find((name) => name.startsWith("torn-"))!;
        expect(aside).toBe(`torn-000001-${start}`);
        expect(readFileSync(join(directory, aside))).toEqual(whole.subarray(start, cut));
      }),
      { numRuns: 20 },
    );
  });

  it("tells of a piece that was set aside when the next crash came before the entry", () => {
    const log = testLog(directory);
    log.record(someEvent());
    log.close();
    writeFileSync(join(directory, "torn-000001-300.pending"), "{half");
    testLog(directory).record(someEvent());
    expect(actions()).toEqual(["attempt.ended", "log.checkpoint", "log.recovered", "attempt.ended"]);
    expect(existsSync(join(directory, "torn-000001-300"))).toBe(true);
  });

  it("does not write on after a last line that someone changed", () => {
    const log = testLog(directory);
    log.record(someEvent());
    log.close();
    const lines = linesOf(directory);
    rewrite(directory, lines.with(-1, lines.at(-1)!.replace("agent", "nobody")));
    expect(() => testLog(directory).record(someEvent())).toThrow("not one that this program wrote");
  });

  it("has every entry that a killed writer was told is there", async () => {
    for (const delayMs of [5, 40, 150]) {
      directory = newDirectory();
      const told = await Promise.all([killedWriter("1", delayMs), killedWriter("2", delayMs * 2)]);
      const log = testLog(directory, { segmentBytes: 20_000 });
      log.record(someEvent());
      log.close();
      const { intact, broken } = verify();
      expect({ intact, broken }).toEqual({ intact: true, broken: undefined });
      told.forEach((count, index) => {
        const own = entries().filter(
          (entry): entry is Extract<AuditEntry, { action: "message.released" }> =>
            entry.action === "message.released" && entry.object.run === String(index + 1),
        );
        expect(own.map(({ object }) => object.attempt)).toEqual(own.map((_, at) => at));
        expect(own.length).toBeGreaterThanOrEqual(count);
        expect(own.length).toBeLessThanOrEqual(count + 2);
      });
    }
  }, 60_000);
});

/** Starts a process that appends, kills it `delayMs` after its beginning, and returns how many entries it had spoken of. */
function killedWriter(who: string, delayMs: number): Promise<number> {
  const folder = dirname(fileURLToPath(import.meta.url));
  const root = resolve(folder, "../../..");
  const config = join(dirname(directory), `tsconfig-${who}.json`);
  const paths = { "@consilium/shared/*.js": [join(root, "shared/src/*.ts")] };
  writeFileSync(config, JSON.stringify({ compilerOptions: { paths, module: "nodenext", target: "es2022" } }));
  const child = spawn(process.execPath, ["--import", "tsx", join(folder, "test-crash-child.ts"), directory, who], {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: config },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let spoken = "";
  child.stdout.on("data", (data: Buffer) => {
    if (spoken === "") setTimeout(() => child.kill("SIGKILL"), delayMs);
    spoken += data.toString();
  });
  return new Promise((done) => child.on("close", () => done(spoken.split("\n").length - 2)));
}

describe("a log on a full disk", () => {
  it("stops what must be audited, says why, and goes on when there is room", () => {
    let room = 2000;
    const write = (file: number, bytes: Uint8Array, at: number) => {
      const size = Math.min(room, bytes.length - at);
      if (size === 0) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      room -= size;
      appendFileSync(file, bytes.subarray(at, at + size));
      return size;
    };
    const log = testLog(directory, { disk: { write, sync() {} } });
    let recorded = 0;
    const fill = () => {
      for (;;) {
        log.record(released(recorded));
        recorded++;
      }
    };
    expect(fill).toThrow(
      expect.objectContaining({ code: "storage", remedy: expect.stringContaining("free disk space") }),
    );
    expect(() => log.record(released())).toThrow("cannot be written (ENOSPC)");
    room = 1e9;
    log.record(released(99));
    log.close();
    const attempts = entries().flatMap(({ action, object }) =>
      action === "message.released" && "attempt" in object ? [object.attempt] : [],
    );
    expect(attempts).toEqual([...Array.from({ length: recorded }, (_, index) => index), 99]);
    expect(verify()).toMatchObject({ intact: true, recovered: 1 });
  });

  it("does not take a sync that failed for one that worked", () => {
    let broken = true;
    const sync = () => {
      if (broken) throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    const write = (file: number, bytes: Uint8Array, at: number) => {
      appendFileSync(file, bytes.subarray(at));
      return bytes.length - at;
    };
    const log = testLog(directory, { disk: { write, sync } });
    expect(() => log.record(released())).toThrow("cannot be written (EIO)");
    broken = false;
    log.record(released());
    log.close();
    expect(verify()).toMatchObject({ intact: true, entries: 3 });
  });

  it("notices a log that became shorter while it was open", () => {
    const log = testLog(directory);
    log.record(someEvent());
    log.checkpoint();
    log.record(someEvent());
    truncateSync(listSegments(directory)[0]!.path, 0);
    log.record(someEvent());
    log.close();
    expect(verify().broken).toMatchObject({ kind: "truncated" });
  });
});
