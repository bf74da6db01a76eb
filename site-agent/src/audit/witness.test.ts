import { rmSync } from "node:fs";
import { join } from "node:path";
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
  it("agrees with the log that was reported, and is written down once", () => {
    const { directory, log, seen } = reportedLog();
    const witness = new Witness(directory, log);
    expect(witness.compare(key, seen)).toBe(true);
    expect(witness.compare(key, seen)).toBe(true);
    log.close();
    expect(verifyLog(directory, testIdentity.publicKey)).toMatchObject({ intact: true, witnessed: 1 });
    expect(linesOf(directory).filter((line) => line.includes("log.witnessed"))).toHaveLength(1);
  });

  it("finds an end that was cut off together with the signed head", () => {
    const { directory, log, seen } = reportedLog();
    log.close();
    rewrite(directory, linesOf(directory).slice(0, 1));
    rmSync(join(directory, "head.json"));
    const again = testLog(directory);
    expect(new Witness(directory, again).compare(key, seen)).toBe(false);
    again.close();
    expect(verifyLog(directory, testIdentity.publicKey).broken).toMatchObject({ kind: "truncated", line: 2 });
  });

  it("finds a log that begins anew", () => {
    const { seen } = reportedLog();
    const other = testLog(newDirectory());
    expect(new Witness(newDirectory(), other).compare(key, seen)).toBe(false);
  });
});
