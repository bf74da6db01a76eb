import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ledgerFiles } from "../round/ledger-files.js";
import { AttemptLedger } from "./attempt-ledger.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ledger-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** As a process that has just begun sees it. */
const ledger = () => new AttemptLedger(ledgerFiles(join(directory, "attempts")));
const key = (round: number, attempt: number, runId = "run-1") => ({ runId, round, attempt });
const context = new Uint8Array(32).fill(1);
const begin = (round: number, attempt: number, maxAttempts = 3) =>
  ledger().begin(key(round, attempt), { context, maxAttempts });
const members = { a: "0a".repeat(32), b: "0b".repeat(32) };
const upload = (round: number, attempt: number) => ledger().upload(key(round, attempt), { members, colluders: 1 });
const digest = (fill: number) => new Uint8Array(32).fill(fill);
const confirm = (attempt: number, fill = 1) =>
  ledger().confirm(key(1, attempt), { survivors: ["a", "b"], digest: digest(fill) });
const failing = (check: string) => expect.objectContaining({ check });

describe("AttemptLedger", () => {
  it("lets attempts and rounds go forward only, whatever process asks", () => {
    begin(1, 2);
    expect(ledger().standingOf(key(1, 2))).toBe("begun");
    expect(ledger().standingOf(key(1, 1))).toBe("passed");
    expect(ledger().standingOf(key(0, 9))).toBe("passed");
    expect(ledger().standingOf(key(1, 3))).toBe("new");
    expect(ledger().standingOf(key(1, 1, "run-2"))).toBe("new");
    for (const [round, attempt] of [
      [1, 2],
      [1, 1],
      [0, 9],
    ] as const) {
      expect(() => begin(round, attempt)).toThrow(failing("attempt-is-new"));
    }
    begin(2, 1);
    expect(() => begin(1, 3)).toThrow(failing("attempt-is-new"));
  });

  it("begins ten attempts in a round for each upload that the policy allows, and no more", () => {
    for (let attempt = 1; attempt <= 20; attempt++) begin(1, attempt, 2);
    expect(() => begin(1, 21, 2)).toThrow(failing("attempts-begun"));
    expect(() => begin(1, 21, 2)).toThrow(expect.objectContaining({ code: "policy-refused" }));
    begin(1, 21, 3);
    begin(2, 1, 2);
  });

  it("counts the attempts with an upload, and no others", () => {
    for (const attempt of [1, 2, 3, 4]) begin(1, attempt, 1);
    upload(1, 4);
    expect(() => begin(1, 5, 1)).toThrow(failing("attempts-left"));
    begin(1, 5, 2);
    begin(2, 1, 1);
  });

  it("confirms one list for ever, and the same again", () => {
    begin(1, 1);
    upload(1, 1);
    confirm(1);
    confirm(1);
    expect(() => confirm(1, 2)).toThrow(failing("survivors-once"));
    expect(begin(1, 2)).toEqual([]);
    expect(() => confirm(1, 2)).toThrow(failing("survivors-once"));
  });

  it("gives up what it has not confirmed when the next attempt begins, and never confirms it then", () => {
    begin(1, 1);
    upload(1, 1);
    expect(begin(1, 2)).toMatchObject([{ attempt: 1, aborted: true, stage: "uploaded" }]);
    expect(() => confirm(1)).toThrow(failing("confirmed-after-abort"));
  });

  it("knows uploads whose attempts are not proven to be over", () => {
    begin(1, 1);
    begin(1, 2);
    upload(1, 2);
    begin(1, 3);
    const unproven = ledger().unproven(key(1, 3));
    expect(unproven).toMatchObject([{ attempt: 2, members, colluders: 1 }]);
    ledger().certify(key(1, 3), unproven);
    expect(ledger().unproven(key(1, 3))).toEqual([]);
    begin(2, 1);
    expect(ledger().unproven(key(2, 1))).toEqual([]);
  });

  it("takes a damaged file for what it is, never for an empty one", () => {
    begin(1, 1);
    const path = join(directory, "attempts", "run-1.json");
    writeFileSync(path, readFileSync(path, "utf8").slice(0, 20));
    expect(() => ledger().standingOf(key(1, 2))).toThrow(expect.objectContaining({ code: "storage" }));
    expect(() => begin(1, 2)).toThrow(expect.objectContaining({ code: "storage" }));
  });
});
