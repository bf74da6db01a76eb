import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AttemptLedger } from "../secagg/attempt-ledger.js";
import { ledgerFiles } from "./ledger-files.js";
import { RunDraws } from "./run-draws.js";
import { testSite } from "./test-federation.js";

let root: string;
let ledger: AttemptLedger;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "run-draws-"));
  ledger = new AttemptLedger(ledgerFiles(join(root, "attempts")));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const key = { runId: "run-1", round: 0 };

/** The agent after a start: nothing is remembered but what lies on the disk. */
function draws(entropy: Entropy = systemEntropy, directory = root): RunDraws {
  return new RunDraws({ directory, entropy, ledger });
}

const alike: Entropy = { bytes: (length) => new Uint8Array(length).fill(0xa5) };

const saltOf = (runId: string): string => readFileSync(join(root, runId, "draw-salt"), "utf8");

/** This site's update of an attempt at the round leaves. */
function upload(round: number): void {
  const attempt = { runId: key.runId, round, attempt: 0 };
  ledger.begin(attempt, { context: new Uint8Array(32), maxAttempts: 3 });
  ledger.upload(attempt, { members: {}, colluders: 0 });
}

describe("RunDraws", () => {
  it("begins all rounds of a run from the same secret, also after a restart", () => {
    const first = draws().seedOf(key, 1);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(draws().seedOf(key, 1)).toBe(first);
    upload(0);
    expect(draws().seedOf({ ...key, round: 1 }, 1)).toBe(first);
    expect(draws().seedOf(key, 1)).toBe(first);
  });

  it("begins otherwise in a second run of the same file, at another site and with another seed", () => {
    const first = draws().seedOf(key, 1);
    expect(draws().seedOf({ ...key, runId: "run-2" }, 1)).not.toBe(first);
    expect(draws().seedOf(key, 2)).not.toBe(first);
    const other = mkdtempSync(join(tmpdir(), "run-draws-"));
    expect(draws(systemEntropy, other).seedOf(key, 1)).not.toBe(first);
    rmSync(other, { recursive: true });
  });

  it("names the run besides its salt", () => {
    const one = draws(alike).seedOf(key, 1);
    const two = draws(alike).seedOf({ ...key, runId: "run-2" }, 1);
    expect(saltOf("run-1")).toBe(saltOf("run-2"));
    expect(two).not.toBe(one);
  });

  it("makes 32 random bytes, and keeps them for the owner alone before it gives anything", () => {
    draws(alike).seedOf(key, 1);
    expect(saltOf("run-1")).toBe(`${"a5".repeat(32)}\n`);
    expect(statSync(join(root, "run-1", "draw-salt")).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(root, "run-1"))).toEqual(["draw-salt"]);
  });

  it("gives nothing where it cannot keep the salt", () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    expect(() => draws(systemEntropy, file).seedOf(key, 1)).toThrow(expect.objectContaining({ code: "storage" }));
  });

  it("makes no second salt after an update of the round has left, and a new one for the next round", () => {
    const first = draws().seedOf(key, 1);
    upload(0);
    rmSync(join(root, "run-1"), { recursive: true });
    expect(() => draws().seedOf(key, 1)).toThrow(/gone from the disk/);
    expect(draws().seedOf({ ...key, round: 1 }, 1)).not.toBe(first);
  });

  it.each(["", "5a5a", `${"5a".repeat(31)}zz`])("does not take a damaged salt for none: %j", (text) => {
    draws().seedOf(key, 1);
    const path = join(root, "run-1", "draw-salt");
    truncateSync(path);
    writeFileSync(path, text);
    expect(() => draws().seedOf(key, 1)).toThrow(/cannot be read/);
    expect(saltOf("run-1")).toBe(text);
  });

  it("says nothing of the salt in what it throws", () => {
    draws(alike).seedOf(key, 1);
    const path = join(root, "run-1", "draw-salt");
    writeFileSync(path, `${"a5".repeat(32)}a5`);
    try {
      draws().seedOf(key, 1);
      expect.unreachable();
    } catch (thrown) {
      expect(`${String(thrown)} ${JSON.stringify(thrown)}`).not.toContain("a5a5");
    }
  });
});

describe("a participant's draws", () => {
  const ofRun = (runId: string, round = 1) => ({ key: { runId, round, attempt: 0 } });
  const saltPath = (runId: string) => join(root, "runs", runId, "draw-salt");

  it("have their salt on the disk when the trainer is asked", async () => {
    const site = testSite(root);
    const train = site.trainer.trainRound.bind(site.trainer);
    let there = false;
    site.trainer.trainRound = (job, options) => {
      there = existsSync(saltPath(job.runId));
      return train(job, options);
    };
    expect((await site.plan()).kind).toBe("done");
    expect(there).toBe(true);
  });

  it("are the run's in every round and after a restart, and others in a second run of the same file", async () => {
    const before = testSite(root);
    await before.plan(ofRun("run-1"));
    const after = testSite(root);
    await after.plan(ofRun("run-1", 2));
    await after.plan(ofRun("run-2"));
    const [first, second, other] = [...before.trainer.jobs, ...after.trainer.jobs].map(({ drawSeed }) => drawSeed);
    expect(second).toBe(first);
    expect(other).not.toBe(first);
  });

  it("are in nothing that is sent, logged or audited", async () => {
    const logged: unknown[] = [];
    const note = (...line: unknown[]) => void logged.push(line);
    const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger };
    const site = testSite(root, { logger });
    site.trainer.failures.push(new ConsiliumError("not-finite", "the loss was not finite"));
    expect((await site.plan(ofRun("run-1"))).kind).toBe("failed");
    expect((await site.plan(ofRun("run-1", 2))).kind).toBe("done");
    writeFileSync(saltPath("run-1"), `${readFileSync(saltPath("run-1"), "utf8").trim()}0`);
    expect(await site.plan(ofRun("run-1", 3))).toMatchObject({ kind: "failed", code: "storage" });
    const { reports, calls } = site.coordinator;
    const said = JSON.stringify([logged, reports, calls, site.audit.events]);
    expect(said).toContain("run-1/3/0");
    expect(said).toMatch(/its draws begin from cannot be read/);
    for (const secret of [readFileSync(saltPath("run-1"), "utf8").slice(0, 64), site.trainer.jobs[0]!.drawSeed]) {
      expect(said).not.toContain(String(secret).slice(0, 16));
    }
  });
});
