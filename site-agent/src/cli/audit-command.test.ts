import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { silentLogger } from "@consilium/shared/log.js";
import { beforeEach, describe, expect, it } from "vitest";
import type { AuditEntry } from "../audit/audit-entry.js";
import { linesOf, rewrite, testIdentity, testLog } from "../audit/test-log.js";
import { siteHome } from "../home.js";
import { runCommandLine } from "./program.js";
import { testEngineTools } from "./test-engine-tools.js";

let home: string;
let audit: string;

/** A home with the log of one round. */
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "audit-cli-"));
  const paths = siteHome(home);
  audit = paths.audit;
  mkdirSync(paths.identity.directory);
  await testIdentity.save(paths.identity.identityKey);
  const enrolment = { version: 1, federation: "demo", siteId: "site-a", host: "h", port: 1 };
  writeFileSync(paths.identity.enrolment, JSON.stringify({ ...enrolment, planPublicKey: "0".repeat(64) }));
  const log = testLog(audit);
  const about = { run: "run-1", round: 1, attempt: 0 };
  const corrId = "run-1/1/0";
  log.record({ action: "agent.started", object: { version: "1.0.0" } });
  log.record({
    action: "plan.refused",
    object: { ...about, run: "run-0" },
    outcome: "refused",
    reason: "jobs.methods",
  });
  log.record({ action: "message.released", object: { ...about, kind: "share", bytes: 300 }, corrId });
  log.record({ action: "message.released", object: { ...about, kind: "upload", bytes: 4000 }, corrId });
  log.record({ action: "update.uploaded", object: { ...about, bytes: 4100 }, corrId });
  log.record({ action: "message.released", object: { ...about, attempt: 1, kind: "upload", bytes: 4000 } });
  log.record({ action: "traffic.counted", object: { run: "run-1", kind: "report", messages: 9, bytes: 360 } });
  log.record({ action: "traffic.counted", object: { kind: "attach", messages: 1, bytes: 20 } });
  log.close();
});

async function run(...parameters: string[]) {
  const written = { stdout: "", stderr: "" };
  const streamTo = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const unexpected = () => Promise.reject(new Error("not called in this test"));
  const code = await runCommandLine(parameters, {
    ...{ stdout: streamTo("stdout"), stderr: streamTo("stderr") },
    ...{ env: { CONSILIUM_AGENT_HOME: home }, userFolder: "/nonexistent" },
    ...{ clock: new ManualClock(Date.UTC(2026, 0, 16)), signal: AbortSignal.abort(), version: "1.2.3" },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(),
    askForRosters: async () => [],
  });
  return { code, ...written };
}

const documents = (text: string): unknown[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

describe("audit verify", () => {
  it("says that a log is intact, and records that it was read", async () => {
    const { code, stdout } = await run("audit", "verify");
    expect(code).toBe(0);
    expect(stdout).toContain("audit log      intact\nentries        9 in 1 file\n");
    const [report] = documents((await run("audit", "verify", "--json")).stdout);
    expect(report).toMatchObject({ intact: true, entries: 11, checkpoints: 2 });
    expect(linesOf(audit).at(-2)).toMatch(/"action":"log.read","actor":"user:/);
  });

  it("ends with 6 and names the line and what it looks like", async () => {
    const lines = linesOf(audit);
    rewrite(audit, lines.toSpliced(3, 1));
    const { code, stderr } = await run("audit", "verify");
    expect(code).toBe(6);
    expect(stderr).toContain("audit-000001.jsonl:4: looks like removed lines");
    expect(stderr).toContain("→ keep a copy");
  });

  it("verifies a copy with a key from elsewhere, and finds a wrong one", async () => {
    const right = Buffer.from(testIdentity.publicKey).toString("hex");
    expect((await run("audit", "verify", "--log", audit, "--public-key", right)).code).toBe(0);
    const wrong = await run("audit", "verify", "--log", audit, "--public-key", "ab".repeat(32));
    expect(wrong.code).toBe(6);
    expect(wrong.stderr).toContain("not what this site's key signed");
  });

  it("takes a folder without a log for no log", async () => {
    const publicKey = `ed25519:${Buffer.from(testIdentity.publicKey).toString("hex")}`;
    for (const path of ["nosuch", home, join(home, "site.yaml")]) {
      const { code, stdout, stderr } = await run("audit", "verify", "--log", path, "--public-key", publicKey);
      expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
      expect(stderr).toContain(`${path}: no audit log is there (no audit-000001.jsonl)`);
    }
  });

  it("ends with 4 where there is no log", async () => {
    home = mkdtempSync(join(tmpdir(), "no-log-"));
    expect((await run("audit", "show")).code).toBe(4);
  });
});

describe("audit show", () => {
  it("prints a table, narrowed by what was asked", async () => {
    const { code, stdout } = await run("audit", "show", "--action", "plan");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^entry {2}time .*\n {4}2 {2}2026-01-15 00:00:00Z {2}agent {2}plan.refused {2}refused: jobs.methods/,
    );
    expect((await run("audit", "show", "--run", "run-0", "--json")).stdout.trimEnd().split("\n")).toHaveLength(1);
    expect((await run("audit", "show", "--since", "2026-01-15T12:00Z", "--action", "agent")).stdout).toBe(
      "no such entries\n",
    );
    expect((await run("audit", "show", "--since", "yesterday")).code).toBe(2);
  });
});

describe("audit export", () => {
  it("writes entries as they are, or as AuditMessages", async () => {
    const lines = (await run("audit", "export", "--since", "30d")).stdout.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as AuditEntry).seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const { stdout } = await run("audit", "export", "--format", "atna", "--action", "update");
    expect(stdout).toMatch(/^<AuditMessage>.*AuditSourceID="site-a".*<\/AuditMessage>\n$/);
  });

  it("needs certificates for a collector", async () => {
    const { code, stderr } = await run("audit", "export", "--format", "atna", "--syslog", "tls://localhost");
    expect(code).toBe(2);
    expect(stderr).toContain("--ca, --cert and --key");
    expect((await run("audit", "export", "--syslog", "http://localhost")).code).toBe(2);
  });
});

describe("a log that was changed", () => {
  const commands = [["egress"], ["audit", "show"], ["audit", "export"]];

  it("is read as far as it goes, and said not to be all", async () => {
    rewrite(
      audit,
      linesOf(audit).map((line, index) => (index === 3 ? `x${line}` : line)),
    );
    for (const command of commands) {
      const { code, stdout, stderr } = await run(...command);
      expect(code).toBe(6);
      expect(stdout).toContain("run-1");
      expect(stderr).toMatch(/1 unreadable and 0 missing entries: this is not all .*\n.*audit verify/);
    }
  });

  it("is said not to be all where its end is gone", async () => {
    rewrite(audit, linesOf(audit).slice(0, 3));
    for (const command of commands) {
      const { code, stderr } = await run(...command);
      expect({ code, stderr }).toEqual({
        code: 6,
        stderr: expect.stringContaining("0 unreadable and 6 missing entries"),
      });
    }
  });
});

describe("egress", () => {
  it("sums per run what left", async () => {
    const [report] = documents((await run("egress", "--json")).stdout);
    expect(report).toMatchObject({
      runs: [
        {
          run: "run-1",
          kinds: { share: { bytes: 300 }, upload: { messages: 2, bytes: 8100 }, report: { messages: 9, bytes: 360 } },
          bytes: 8760,
        },
        { kinds: { attach: { bytes: 20 } } },
      ],
    });
    expect((await run("egress")).stdout).toContain("run-1     7.9 KiB            300 B                 360 B");
  });

  it("lists one run's messages, and what is not known to have arrived", async () => {
    const { stdout } = await run("egress", "--run", "run-1");
    expect(stdout).toMatch(/share +1 +300\n.*upload +1 +4100\n.*report +9 +360\n.*upload, at most +1 +4000\n/);
  });
});

describe("export", () => {
  it("is in the log of the user's site before anything is written", async () => {
    const checkpoint = join(home, "checkpoint.safetensors");
    writeFileSync(checkpoint, "weights");
    await run("export", "--checkpoint", checkpoint, "--out", join(home, "out"));
    const checkpointDigest = createHash("sha256").update("weights").digest("hex");
    expect(linesOf(audit).at(-2)).toContain(`"action":"model.exported"`);
    expect(linesOf(audit).at(-2)).toContain(checkpointDigest);
  });
});
