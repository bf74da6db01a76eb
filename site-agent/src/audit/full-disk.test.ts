import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readEntries } from "./read-log.js";
import { testIdentity, testLog } from "./test-log.js";
import { verifyLog } from "./verify-log.js";

const disk = mkdtempSync(join(tmpdir(), "full-disk-"));

/** Only root may mount; without it, audit-log.test.ts has the same with a write call that fails. */
function mounted(): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const isMounted = mounted();
afterAll(() => {
  if (isMounted) execFileSync("umount", [disk]);
  rmSync(disk, { recursive: true, force: true });
});

describe("a disk that is really full", () => {
  it.skipIf(!isMounted)("stops entries with a clear error, and lets them go on (skipped: no right to mount)", () => {
    const directory = join(disk, "audit");
    mkdirSync(directory);
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, Buffer.alloc(40_000));
    const log = testLog(directory);
    let recorded = 0;
    const fill = () => {
      for (;;) {
        const object = { run: "r", round: 1, attempt: recorded, kind: "upload", bytes: 1 } as const;
        log.record({ action: "message.released", object });
        recorded++;
      }
    };
    expect(fill).toThrow("cannot be written (ENOSPC)");
    expect(fill).toThrow("cannot be written (ENOSPC)");
    expect(recorded).toBeGreaterThan(20);
    rmSync(ballast);
    log.record({ action: "agent.stopped", object: {} });
    log.close();
    expect(verifyLog(directory, testIdentity.publicKey)).toMatchObject({ intact: true, recovered: 1 });
    const attempts = [...readEntries(directory, { action: "message" })].map(({ object }) =>
      "attempt" in object ? object.attempt : -1,
    );
    expect(attempts).toEqual(Array.from({ length: recorded }, (_, index) => index));
  });
});
