import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { approvalId, configDigest } from "./approval.js";
import { ApprovalStore } from "./approval-store.js";

let root: string;
let directory: string;
let store: ApprovalStore;
const clock = new ManualClock(1000);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "approvals-"));
  directory = join(root, "approvals");
  store = new ApprovalStore(directory, clock);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const subject = (runConfigJson = '{"rounds":10}', runId = "run-1") => ({ runId, runConfigJson });

describe("an approval store", () => {
  it("keeps what a run asked for, byte for byte, until it is answered", () => {
    expect(store.decisionOn(subject())).toBe("waiting");
    expect(store.list()).toEqual([]);
    const text = '{"name":"ä\\u0000 \\"x\\"", "rounds": 10 }';
    const id = store.ask(subject(text));
    const digest = configDigest(text);
    expect(id).toBe(`run-1@${digest.slice(0, 12)}`);
    expect(store.waiting()).toEqual([
      { version: 1, runId: "run-1", digest, runConfigJson: text, askedAtMs: 1000, decision: "waiting" },
    ]);
  });

  it("asks once, and does not forget the answer when it is asked again", () => {
    store.ask(subject());
    store.decide(store.find("run-1"), "denied", "no slides in this ward");
    store.ask(subject());
    expect(store.list()).toMatchObject([{ decision: "denied", reason: "no slides in this ward" }]);
    expect(readdirSync(directory)).toHaveLength(1);
  });

  it("grants the exact bytes of one run, seen at once by who else reads, and takes it back", () => {
    const agent = new ApprovalStore(directory, clock);
    store.ask(subject());
    store.decide(store.find("run-1"), "granted");
    expect(agent.decisionOn(subject())).toBe("granted");
    expect(agent.decisionOn(subject('{"rounds":10} '))).toBe("waiting");
    expect(agent.decisionOn(subject('{"rounds":10}', "run-2"))).toBe("waiting");
    store.decide(store.find("run-1"), "denied");
    expect(agent.decisionOn(subject())).toBe("denied");
  });

  it("finds by the run, or by run and digest where the run asked twice", () => {
    store.ask(subject());
    const other = store.ask(subject('{"rounds":11}'))!;
    expect(() => store.find("run-1")).toThrow(/several configurations: run-1@.*, run-1@/);
    expect(approvalId(store.find(other))).toBe(other);
    for (const called of ["run", "run-11", "run-1@0000000000000", ""]) {
      expect(() => store.find(called)).toThrow(/no run of this id/);
    }
  });

  it("takes a damaged file, and one whose configuration was changed, for no answer", () => {
    store.ask(subject());
    store.decide(store.find("run-1"), "granted");
    const path = join(directory, readdirSync(directory)[0]!);
    const text = readFileSync(path, "utf8");
    for (const damaged of [text.slice(0, 40), text.replace("10", "99"), text.replace("run-1", "run-2"), "", "null"]) {
      writeFileSync(path, damaged);
      expect(store.decisionOn(subject())).toBe("waiting");
      expect(store.list()).toEqual([]);
    }
    store.ask(subject());
    expect(store.find("run-1").decision).toBe("waiting");
  });

  it("keeps a bounded number of questions", () => {
    for (let run = 0; run < 50; run++) expect(store.ask(subject("{}", `run-${run}`))).toBeDefined();
    expect(store.ask(subject())).toBeUndefined();
    expect(readdirSync(directory)).toHaveLength(50);
    store.decide(store.find("run-7"), "denied");
    expect(store.ask(subject())).toBeDefined();
  });

  it("says that it can neither read nor write", () => {
    writeFileSync(directory, "a file where the folder should be");
    expect(() => store.ask(subject())).toThrow(/cannot be read \(ENOTDIR\)/);
    writeFileSync(join(root, "plain"), "");
    expect(() => new ApprovalStore(join(root, "plain", "approvals"), clock).ask(subject())).toThrow(
      /cannot be written/,
    );
  });
});
