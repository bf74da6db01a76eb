import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { saveTlsBundle } from "@consilium/shared/identity/key-files.js";
import { silentLogger } from "@consilium/shared/log.js";
import { testGovernance, testNowMs, testRoster } from "@consilium/shared/roster/example-governance.js";
import type { SignedRoster } from "@consilium/shared/roster/signed-roster.js";
import { beforeEach, describe, expect, it } from "vitest";
import { readEntries } from "../audit/read-log.js";
import { type SiteHome, siteHome } from "../home.js";
import { examplePolicy } from "../test-plans.js";
import { runCommandLine } from "./program.js";
import { testEngineTools } from "./test-engine-tools.js";

const trust = testGovernance();
let home: SiteHome;
let roster: SignedRoster;
let served: SignedRoster[];

beforeEach(async () => {
  home = siteHome(mkdtempSync(join(tmpdir(), "roster-command-")));
  mkdirSync(home.identity.directory, { recursive: true });
  const identity = await IdentityKey.loadOrCreate(home.identity.identityKey);
  await saveTlsBundle(home.identity.directory, { caPem: "ca", certPem: "certificate", keyPem: "key" });
  const enrolment = {
    version: 1,
    federation: "demo",
    siteId: "a",
    host: "h",
    port: 7700,
    planPublicKey: "00".repeat(32),
  };
  writeFileSync(home.identity.enrolment, JSON.stringify(enrolment));
  writeFileSync(home.siteYaml, JSON.stringify({ data: { source: "folder", path: home.root } }));
  const { keys, threshold } = trust.governance;
  writeFileSync(home.policyYaml, JSON.stringify({ ...examplePolicy, governance: { keys, threshold } }));
  roster = testRoster({ a: identity.publicKey, b: IdentityKey.generate().publicKey }, trust);
  served = [roster];
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
    ...{ clock: new ManualClock(testNowMs), signal: AbortSignal.abort(), version: "1.2.3" },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(),
    askForRosters: async (_connection, afterVersion) =>
      served.filter(({ roster: { version } }) => version > afterVersion),
  });
  return { code, ...written };
}

describe("consilium-agent roster", () => {
  it("shows what is asked of a person, and follows the version that was looked at", async () => {
    expect((await run("roster", "show")).stdout).toContain("no roster is followed yet");
    expect((await run("roster", "fetch")).stdout).toMatch(/Version 1 waits .*\n {2}\+ a \(Hospital a\) ed25519:/);
    expect((await run("roster", "approve")).stdout).toContain("consilium-agent roster approve 1");
    expect((await run("roster", "approve", "2")).code).toBe(4);
    expect((await run("roster", "show")).stdout).toContain("Version 1 waits");
    expect((await run("roster", "approve", "1")).stdout).toMatch(/version 1 is followed from now on/);
    const shown = await run("roster", "show", "--json");
    expect(JSON.parse(shown.stdout)).toEqual({ pinned: JSON.parse(JSON.stringify(roster)) });
    expect((await run("roster", "fetch")).stdout).toBe("version 1 of the roster is followed\n");
    expect((await run("roster", "approve")).code).toBe(4);
    const commands = [...readEntries(home.audit)].filter(({ action }) => action === "command.run");
    const failed = commands.filter(({ outcome }) => outcome === "failure");
    expect(failed.map(({ object, reason }) => [object, reason])).toEqual(
      Array.from({ length: 2 }, () => [{ command: "roster-approve" }, "not-found"]),
    );
    expect(commands).toHaveLength(6 + failed.length);
    const acts = [...readEntries(home.audit)]
      .map(({ action }) => action)
      .filter((action) => action !== "log.checkpoint");
    expect(acts.filter((action) => action.startsWith("roster."))).toEqual(["roster.waiting", "roster.pinned"]);
  });

  it("is not shown of a home that no site joined", async () => {
    rmSync(home.identity.enrolment);
    expect(await run("roster", "show")).toMatchObject({ code: 2, stdout: "" });
  });

  it("says what is missing where nothing can come", async () => {
    served = [];
    expect((await run("roster", "fetch")).stdout).toBe(
      "the coordinator has no roster yet: ask its operator to publish one\n",
    );
    writeFileSync(home.policyYaml, JSON.stringify({ ...examplePolicy, governance: { keys: [], threshold: 1 } }));
    const { code, stderr } = await run("roster", "fetch");
    expect(code).toBe(6);
    expect(stderr).toMatch(/pins no governance key.*\n.*policy\.yaml/);
  });

  it("says why a roster is refused, and ends with 6", async () => {
    served = [{ ...roster, signatures: roster.signatures.slice(0, 1) }];
    const { code, stderr } = await run("roster", "fetch");
    expect(code).toBe(6);
    expect(stderr).toContain("too few of the pinned governance keys have signed it");
    expect((await run("roster", "show")).stdout).toContain("no roster is followed yet");
  });
});

describe("consilium-agent identity", () => {
  it("prints the key that goes on the roster", async () => {
    const { stdout } = await run("identity", "--json");
    const { identityKey } = roster.roster.sites[0]!;
    expect(JSON.parse(stdout)).toMatchObject({ federation: "demo", siteId: "a", key: identityKey });
    expect((await run("identity")).stdout).toContain(identityKey);
  });
});
