import { rmSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { AuditEntry, AuditEvent } from "./audit-entry.js";
import { entryHash } from "./chain.js";
import { listSegments } from "./segments.js";
import { linesOf, newDirectory, rewrite, someEvent, testIdentity, testLog } from "./test-log.js";
import { verifyLog } from "./verify-log.js";

let directory: string;
let lines: string[];

/** A log of 40 events with three signatures: after 11, 22 and at its end. */
beforeEach(() => {
  directory = newDirectory();
  const log = testLog(directory);
  for (let index = 0; index < 40; index++) {
    log.record(someEvent(index));
    if (index % 11 === 10 && index < 30) log.checkpoint();
  }
  log.close();
  lines = linesOf(directory);
});

const verify = () => verifyLog(directory, testIdentity.publicKey);

function rehashed(entry: AuditEntry, changes: Partial<Record<keyof AuditEntry, unknown>>): string {
  const { hash: _hash, ...rest } = { ...entry, ...changes } as AuditEntry;
  return canonicalJson({ ...rest, hash: entryHash(rest) });
}

/** What someone without the identity key can do best: changes an entry and makes the chain hold again. */
function forged(from: number, changes: Partial<Record<keyof AuditEntry, unknown>>): string[] {
  const result = lines.slice(0, from);
  for (const line of lines.slice(from)) {
    const entry = JSON.parse(line) as AuditEntry;
    const prev = result.length === 0 ? entry.prev : (JSON.parse(result.at(-1)!) as AuditEntry).hash;
    const at = result.length === from ? changes : {};
    result.push(rehashed(entry, { seq: result.length + 1, prev, ...at }));
  }
  return result;
}

describe("verifying a log", () => {
  it("finds a whole one intact", () => {
    expect(verify()).toMatchObject({
      intact: true,
      entries: 43,
      segments: 1,
      checkpoints: 3,
      unsigned: 0,
      recovered: 0,
    });
    expect(verify().head).toBe((JSON.parse(lines.at(-1)!) as AuditEntry).hash);
  });

  it("names a changed line", () => {
    rewrite(directory, lines.with(7, lines[7]!.replace('"success"', '"failure"')));
    expect(verify().broken).toMatchObject({ kind: "changed", segment: 1, line: 8 });
  });

  it("names a line that was changed and given a new hash", () => {
    const entry = JSON.parse(lines[7]!) as AuditEntry;
    rewrite(directory, lines.with(7, rehashed(entry, { outcome: "failure" })));
    expect(verify().broken).toMatchObject({ kind: "changed", line: 8 });
  });

  it("names the place of removed lines", () => {
    rewrite(directory, lines.toSpliced(7, 3));
    expect(verify().broken).toMatchObject({ kind: "removed", line: 8 });
    rewrite(directory, lines.slice(1));
    expect(verify().broken).toMatchObject({ kind: "removed", line: 1 });
  });

  it("names an inserted line, copied or made up", () => {
    rewrite(directory, lines.toSpliced(8, 0, lines[7]!));
    expect(verify().broken).toMatchObject({ kind: "inserted", line: 9 });
    const before = JSON.parse(lines[7]!) as AuditEntry;
    rewrite(directory, lines.toSpliced(8, 0, rehashed(before, { seq: 9, prev: before.hash })));
    expect(verify().broken).toMatchObject({ kind: "inserted", line: 9 });
  });

  it("finds the end cut off", () => {
    rewrite(directory, lines.slice(0, -1));
    expect(verify().broken).toMatchObject({ kind: "truncated", line: 42 });
    rewrite(directory, lines.slice(0, 20));
    expect(verify().broken).toMatchObject({ kind: "truncated", line: 20 });
    rewrite(directory, []);
    expect(verify().broken).toMatchObject({ kind: "truncated" });
  });

  it("finds an end that was cut off and written on by the agent", () => {
    rewrite(directory, lines.slice(0, 20));
    const log = testLog(directory);
    log.record(someEvent());
    log.close();
    expect(verify().broken).toMatchObject({ kind: "truncated", line: 21, reason: "entries 21 to 43 were cut off" });
  });

  it("finds a chain that was made to hold again, since nobody else can sign", () => {
    rewrite(directory, forged(14, { outcome: "failure" }));
    expect(verify().broken).toMatchObject({ kind: "changed", line: 24 });
    const unsigned = lines.filter((line) => !line.includes("log.checkpoint"));
    lines = unsigned;
    rewrite(directory, forged(0, {}));
    rmSync(join(directory, "head.json"));
    expect(verify()).toMatchObject({ intact: true, unsigned: 40, checkpoints: 0 });
  });

  it("finds that another key signed", () => {
    const other = IdentityKey.fromSeed(new Uint8Array(32).fill(6));
    expect(verifyLog(directory, other.publicKey).broken).toMatchObject({ kind: "unsigned", line: 12 });
  });

  it("does not accept more entries without a signature than the writer would leave", () => {
    const long = newDirectory();
    const log = testLog(long);
    log.recordAll(Array.from({ length: 300 }, (_, index) => someEvent(index)));
    log.close();
    directory = long;
    lines = linesOf(long).filter((line) => !line.includes("log.checkpoint"));
    rewrite(directory, forged(0, {}));
    rmSync(join(directory, "head.json"));
    expect(verify().broken).toMatchObject({ kind: "unsigned" });
  });

  it("finds every random edit of a line's bytes", () => {
    const text = lines.map((line) => `${line}\n`).join("");
    fc.assert(
      fc.property(fc.nat(text.length - 2), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Buffer.from(text);
        bytes[at] = bytes[at]! ^ flip;
        rewrite(directory, [bytes.toString("latin1").slice(0, -1)]);
        expect(verify().intact).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  it("finds every random cut, repetition and exchange of lines", () => {
    const place = fc.nat(lines.length - 1);
    fc.assert(
      fc.property(place, place, fc.constantFrom("cut", "repeat", "exchange"), (a, b, how) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const edited = {
          cut: () => lines.toSpliced(from, to - from + 1),
          repeat: () => lines.toSpliced(to, 0, ...lines.slice(from, to + 1)),
          exchange: () => lines.with(from, lines[to]!).with(to, lines[from]!),
        }[how]();
        if (edited.join() === lines.join()) return;
        rewrite(directory, edited);
        expect(verify().intact).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  it("survives a file that is no log", () => {
    rewrite(directory, ["x".repeat(3_000_000), "\0".repeat(100_000)]);
    expect(verify().broken).toMatchObject({ kind: "changed", line: 1 });
  });
});

describe("verifying a log of several files", () => {
  beforeEach(() => {
    directory = newDirectory();
    const log = testLog(directory, { segmentBytes: 4000 });
    for (let index = 0; index < 60; index++) log.record(someEvent(index));
    log.close();
  });

  it("follows the chain from file to file", () => {
    const { segments, intact } = verify();
    expect(segments).toBeGreaterThan(4);
    expect(intact).toBe(true);
  });

  it("finds a missing file at the beginning, inside and at the end", () => {
    const files = listSegments(directory);
    for (const [index, kind] of [
      [0, "removed"],
      [2, "removed"],
      [files.length - 1, "truncated"],
    ] as const) {
      const copy = newDirectory();
      const log = testLog(copy, { segmentBytes: 4000 });
      for (let event = 0; event < 60; event++) log.record(someEvent(event));
      log.close();
      rmSync(listSegments(copy)[index]!.path);
      expect(verifyLog(copy, testIdentity.publicKey).broken).toMatchObject({ kind });
    }
  });
});

describe("a log over a change of identity keys", () => {
  const next = IdentityKey.fromSeed(new Uint8Array(32).fill(6));
  const hex = ({ publicKey }: IdentityKey) => Buffer.from(publicKey).toString("hex");
  const rotation = (before: IdentityKey, key: IdentityKey): AuditEvent => {
    return { action: "identity.rotated", object: { before: hex(before), key: hex(key), signed: true } };
  };
  const write = (identity: IdentityKey, event: AuditEvent): void => {
    const log = testLog(directory, { identity });
    log.record(event);
    log.close();
  };

  it("is whole by the key that the site has now", () => {
    write(next, rotation(testIdentity, next));
    expect(verifyLog(directory, next.publicKey)).toMatchObject({ intact: true, checkpoints: 4 });
  });

  it("is not whole by the key that was replaced, nor without the entry", () => {
    write(next, someEvent());
    expect(verifyLog(directory, next.publicKey).broken).toMatchObject({ kind: "unsigned" });
    write(next, rotation(testIdentity, next));
    expect(verify().broken).toMatchObject({ kind: "unsigned" });
  });

  it("does not go over to a key that follows none of this log", () => {
    const stranger = IdentityKey.fromSeed(new Uint8Array(32).fill(7));
    write(next, rotation(testIdentity, next));
    write(next, rotation(stranger, stranger));
    expect(verifyLog(directory, stranger.publicKey).broken).toMatchObject({
      kind: "unsigned",
      reason: expect.stringMatching(/replaces another identity key/),
    });
  });
});
