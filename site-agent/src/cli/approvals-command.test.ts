import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { ManualClock } from "@consilium/shared/clock.js";
import { silentLogger } from "@consilium/shared/log.js";
import { beforeEach, describe, expect, it } from "vitest";
import { ApprovalStore } from "../approvals/approval-store.js";
import { readEntries } from "../audit/read-log.js";
import { type SiteHome, siteHome } from "../home.js";
import { writeStatus } from "../status-file.js";
import { exampleConfig, examplePolicy } from "../test-plans.js";
import { runCommandLine } from "./program.js";
import { testEngineTools } from "./test-engine-tools.js";
import { followTestRoster } from "./test-roster.js";

let home: SiteHome;
let store: ApprovalStore;
const clock = new ManualClock(Date.UTC(2026, 0, 15));
const subject = { runId: "run-1", runConfigJson: canonicalJson(exampleConfig) };

/** A joined home whose policy asks for a person's word, in which one run waits. */
beforeEach(async () => {
  home = siteHome(mkdtempSync(join(tmpdir(), "approvals-cli-")));
  for (const directory of [home.identity.directory, join(home.root, "images")]) mkdirSync(directory);
  const enrolment = { version: 1, federation: "demo", siteId: "site-a", host: "h", port: 1 };
  writeFileSync(home.identity.enrolment, JSON.stringify({ ...enrolment, planPublicKey: "0".repeat(64) }));
  writeFileSync(home.siteYaml, "data: { source: folder, path: images }\n");
  const governance = await followTestRoster(home);
  const policy = { ...examplePolicy, governance, jobs: { ...examplePolicy.jobs, approval: "manual", maxRounds: 9 } };
  writeFileSync(home.policyYaml, JSON.stringify(policy));
  store = new ApprovalStore(home.approvals, clock);
  store.ask(subject);
});

async function run(...parameters: string[]) {
  const written = { stdout: "", stderr: "" };
  const streamTo = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const unexpected = () => Promise.reject(new Error("not called in this test"));
  const code = await runCommandLine([...parameters, "--home", home.root], {
    ...{ stdout: streamTo("stdout"), stderr: streamTo("stderr"), env: {}, userFolder: "/nonexistent" },
    ...{ clock, signal: AbortSignal.abort(), version: "1.2.3" },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(),
    askForRosters: async () => [],
  });
  return { code, ...written };
}

const approvals = (...parameters: string[]) => run("approvals", ...parameters);
const commandsOf = () => [...readEntries(home.audit)].filter(({ action }) => action === "command.run");

describe("approvals", () => {
  it("lists what waits", async () => {
    const { stdout } = await approvals("list");
    expect(stdout).toMatch(/^id +asked +decision +decided +note\nrun-1@[0-9a-f]{12} +2026-01-15 .* waiting +–\n$/);
    const listed = JSON.parse((await approvals("list", "--json")).stdout) as { approvals: unknown[] };
    expect(listed.approvals).toMatchObject([{ ...subject, decision: "waiting" }]);
  });

  it("shows the configuration, its digest and what the policy says", async () => {
    const { code, stdout } = await approvals("show", "run-1");
    expect(code).toBe(0);
    expect(stdout).toContain(`SHA-256   ${store.find("run-1").digest}\n`);
    expect(stdout).toContain('\n  "modality": "dermatology",\n');
    expect(stdout).toMatch(/\njobs\.maxRounds +10 rounds +at most 9 +refused\n/);
    expect(stdout).toMatch(/\njobs\.approval +.* manual +decided when the round begins\n/);
    const json = JSON.parse((await approvals("show", "run-1", "--json")).stdout) as object;
    expect(json).toMatchObject({ runConfigJson: subject.runConfigJson, verdicts: { allowed: false } });
  });

  it("shows a configuration of another version, and prints no control characters of it", async () => {
    store.ask({ runId: "run-2", runConfigJson: '{"name":"\\u001b[2J","more":1}' });
    const { code, stdout } = await approvals("show", "run-2");
    expect(code).toBe(0);
    expect(stdout).toContain('"more": 1');
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toContain("cannot read the configuration");
  });

  it("grants and denies, durably and in the audit log", async () => {
    const { stdout } = await approvals("grant", "run-1");
    expect(stdout).toMatch(/^run-1@[0-9a-f]{12} is granted/);
    expect(store.decisionOn(subject)).toBe("granted");
    const denied = await approvals("deny", "run-1", "--reason", "no ethics vote yet", "--json");
    expect(JSON.parse(denied.stdout)).toMatchObject({ decision: "denied", reason: "no ethics vote yet" });
    expect(store.decisionOn(subject)).toBe("denied");
    const about = { run: "run-1", config: store.find("run-1").digest };
    expect(commandsOf()).toMatchObject([
      {
        ...{ object: { command: "approvals-grant", ...about }, role: "operator" },
        actor: expect.stringMatching(/^user:/),
      },
      { object: { command: "approvals-deny", ...about } },
    ]);
    const { stdout: shown } = await run("audit", "show", "--run", "run-1");
    expect(shown).toMatch(/command approvals-grant, config [0-9a-f]{12}, run run-1/);
  });

  it("keeps the reason when the same is said again, and says so", async () => {
    await approvals("deny", "run-1", "--reason", "no ethics vote yet");
    expect((await approvals("deny", "run-1")).stdout).toMatch(/ was denied already, on 2026-01-15 00:00:00Z\n$/);
    expect(store.find("run-1")).toMatchObject({ decision: "denied", reason: "no ethics vote yet" });
    clock.advance(60_000);
    expect((await approvals("deny", "run-1")).stdout).toContain("2026-01-15 00:00:00Z");
    await approvals("grant", "run-1");
    expect(store.find("run-1").reason).toBeUndefined();
  });

  it("are not listed for a home that no site joined", async () => {
    rmSync(home.identity.enrolment);
    for (const command of [["approvals", "list"], ["privacy"]]) {
      expect(await run(...command)).toMatchObject({ code: 2, stdout: "" });
    }
  });

  it("decides nothing that the audit log cannot hold", async () => {
    writeFileSync(home.audit, "a file where the folder should be");
    expect((await approvals("grant", "run-1")).code).toBe(1);
    expect(store.decisionOn(subject)).toBe("waiting");
  });

  it("ends with 4 for a run that did not ask, and with 2 where several could be meant", async () => {
    expect((await approvals("grant", "run-9")).code).toBe(4);
    store.ask({ ...subject, runConfigJson: "{}" });
    const { code, stderr } = await approvals("grant", "run-1");
    expect(code).toBe(2);
    expect(stderr).toContain("run-1@");
    expect((await approvals("deny", "run-1", "--reason", "x".repeat(1001))).code).toBe(2);
  });

  it("are in the status while they wait", async () => {
    writeStatus(home.statusJson, {
      ...{ version: 1, pid: 1, startedAtMs: 0, updatedAtMs: 0, agentVersion: "1", federation: "demo" },
      ...{ siteId: "site-a", coordinator: "h:1", connected: true, state: "refused", roundsDone: 0 },
    });
    expect((await run("status")).stdout).toMatch(/\nto be approved +run-1@[0-9a-f]{12}: see /);
    expect(JSON.parse((await run("status", "--json")).stdout)).toMatchObject({
      waitingApprovals: [expect.stringMatching(/^run-1@/)],
    });
    await approvals("grant", "run-1");
    expect((await run("status")).stdout).not.toContain("to be approved");
    rmSync(home.approvals, { recursive: true });
    writeFileSync(home.approvals, "a folder that this user cannot read");
    expect((await run("status")).stdout).toContain("site-a of demo");
  });
});
