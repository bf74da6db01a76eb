import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { describe, expect, it } from "vitest";
import { readSignedHead } from "./signed-head.js";
import { linesOf, newDirectory, rewrite, someEvent, testIdentity, testLog } from "./test-log.js";
import { verifyLog } from "./verify-log.js";
import { Witness } from "./witness.js";

const key = { runId: "run-1" };

/** A log with a signed head that the coordinator heard of. */
function reportedLog() {
  const directory = newDirectory();
  const log = testLog(directory);
  log.record(someEvent());
  log.checkpoint();
  const { head } = readSignedHead(directory, testIdentity.publicKey)!;
  return { directory, log, seen: new Uint8Array(Buffer.from(head, "hex")) };
}

describe("a witness", () => {
  it("agrees with the log that was reported, and is written down once", async () => {
    const { directory, log, seen } = reportedLog();
    const clock = new ManualClock();
    const witness = new Witness(directory, log, clock);
    expect(await witness.compare(key, seen)).toBe(true);
    clock.advance(60_000);
    expect(await witness.compare(key, seen)).toBe(true);
    log.close();
    expect(verifyLog(directory, testIdentity.publicKey)).toMatchObject({ intact: true, witnessed: 1 });
    expect(linesOf(directory).filter((line) => line.includes("log.witnessed"))).toHaveLength(1);
  });

  it("finds an end that was cut off together with the signed head", async () => {
    const { directory, log, seen } = reportedLog();
    log.close();
    rewrite(directory, linesOf(directory).slice(0, 1));
    rmSync(join(directory, "head.json"));
    const again = testLog(directory);
    expect(await new Witness(directory, again, new ManualClock()).compare(key, seen)).toBe(false);
    again.close();
    expect(verifyLog(directory, testIdentity.publicKey).broken).toMatchObject({ kind: "truncated", line: 2 });
  });

  it("finds a log that begins anew", async () => {
    const { seen } = reportedLog();
    const other = testLog(newDirectory());
    expect(await new Witness(newDirectory(), other, new ManualClock()).compare(key, seen)).toBe(false);
  });

  it("reads the log once a minute at most, however many checkpoints are named", async () => {
    const { directory, log } = reportedLog();
    const clock = new ManualClock();
    const witness = new Witness(directory, log, clock);
    const unknown = (fill: number) => new Uint8Array(32).fill(fill);
    const answers = await Promise.all([1, 2, 3].map((fill) => witness.compare(key, unknown(fill))));
    expect(answers).toEqual([false, true, true]);
    clock.advance(59_999);
    expect(await witness.compare(key, unknown(4))).toBe(true);
    clock.advance(1);
    expect(await witness.compare(key, unknown(5))).toBe(false);
    const compared = linesOf(directory).filter((line) => line.includes("log.witnessed"));
    expect(compared).toHaveLength(2);
  });

  it("writes nothing down once it is closed", async () => {
    const { directory, log, seen } = reportedLog();
    const witness = new Witness(directory, log, new ManualClock());
    const comparing = witness.compare(key, new Uint8Array(32));
    witness.close();
    expect(await comparing).toBe(true);
    expect(await witness.compare(key, seen)).toBe(true);
    expect(linesOf(directory).some((line) => line.includes("log.witnessed"))).toBe(false);
  });

  it("may compare again after a reading that failed", async () => {
    const { directory, log, seen } = reportedLog();
    const clock = new ManualClock();
    const witness = new Witness(directory, log, clock);
    mkdirSync(join(directory, "audit-999999.jsonl"));
    await expect(witness.compare(key, seen)).rejects.toThrow();
    rmSync(join(directory, "audit-999999.jsonl"), { recursive: true });
    clock.advance(60_000);
    expect(await witness.compare(key, seen)).toBe(true);
    expect(linesOf(directory).some((line) => line.includes("log.witnessed"))).toBe(true);
  });
});
