import { mkdtempSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { silentLogger } from "@consilium/shared/log.js";
import { describe, expect, it } from "vitest";
import { lockHome } from "../agent-lock.js";
import type { DataReport } from "../data/data-report.js";
import { siteHome } from "../home.js";
import type { JoinOptions } from "../join.js";
import { type AgentStatus, writeStatus } from "../status-file.js";
import { createProgram, runCommandLine } from "./program.js";
import type { Surroundings } from "./surroundings.js";
import { testEngineTools } from "./test-engine-tools.js";

const status: AgentStatus = {
  ...{ version: 1, pid: process.pid, startedAtMs: 0, updatedAtMs: 0, agentVersion: "1", federation: "demo" },
  ...{ siteId: "site-a", coordinator: "fl.example.org:7700", connected: true, state: "training", roundsDone: 2 },
  ...{ runId: "run-1", round: 3, attempt: 1, stepsDone: 2, steps: 5 },
};

const report: DataReport = {
  ...{ source: "folder", path: "/srv/images", files: 8, images: 8, formats: { jpeg: 8 }, modalities: {} },
  ...{ transferSyntaxes: {}, shortSides: { "64 to 223": 8 }, labels: {}, splits: {}, attributes: {} },
  ...{ unreadable: [], unreadableByReason: {}, excludedByReason: {}, duplicates: [], nearDuplicates: [] },
  ...{ imagesNotChosen: 0, otherFiles: 1, batchSize: 64, stepsPerEpoch: 1 },
};

function surroundings(changes: Partial<Surroundings> = {}) {
  const home = mkdtempSync(join(tmpdir(), "agent-cli-"));
  writeFileSync(join(home, "site.yaml"), "data: { source: folder, path: images }\n");
  const written = { stdout: "", stderr: "" };
  const streamTo = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const unexpected = () => Promise.reject(new Error("not called in this test"));
  const around: Surroundings = {
    ...{ stdout: streamTo("stdout"), stderr: streamTo("stderr"), env: {}, userFolder: "/nonexistent" },
    ...{ clock: new ManualClock(60_000), signal: AbortSignal.abort(), version: "1.2.3" },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(),
    askForRosters: async () => [],
    ...changes,
  };
  return { home, written, run: (...parameters: string[]) => runCommandLine(parameters, around), around };
}

const commands = createProgram(surroundings().around).commands.map((command) => command.name());

describe("consilium-agent", () => {
  it("has these commands", () =>
    expect(commands).toEqual([
      ...["join", "identity", "run", "status", "doctor", "check-data", "curate", "export", "engine"],
      ...["audit", "egress", "policy", "approvals", "roster", "privacy"],
    ]));

  it.each(commands)("%s --help explains itself with an example", async (name) => {
    const { run, written } = surroundings();
    expect(await run(name, "--help")).toBe(0);
    expect(written.stdout).toMatch(/Examples?:\n {2}\$ consilium-agent /);
    expect(written.stdout).toContain("--json");
  });

  it.each(commands)("%s ends with 2 for an option that it does not know", async (name) => {
    const { run, written } = surroundings();
    expect(await run(name, "--no-such-option")).toBe(2);
    expect(written.stdout).toBe("");
  });

  it("joins, and says what comes next", async () => {
    const facts = { federation: "demo", siteId: "site-a", coordinator: "fl.example.org:7700", certificateExpiresMs: 0 };
    const join = async () => ({
      ...facts,
      identityFingerprint: "0123456789abcdef".repeat(4),
      written: [],
      governanceKeys: 0,
    });
    const { run, written, home } = surroundings({ join });
    expect(await run("join", "token", "--home", home)).toBe(0);
    expect(written.stdout).toContain("01234567 89abcdef");
    expect(written.stdout).toContain("Write the federation's governance keys into it");
    expect(written.stdout).toContain(`consilium-agent run --home ${home}`);
    expect(written.stdout).toContain(
      `Each run waits until you grant it: consilium-agent approvals list --home ${home}`,
    );
  });

  it("hands over governance keys to pin, and refuses what is none before anything is asked", async () => {
    const asked: JoinOptions["governance"][] = [];
    const facts = { federation: "demo", siteId: "site-a", coordinator: "fl.example.org:7700", certificateExpiresMs: 0 };
    const join = async ({ governance }: Omit<JoinOptions, "enrol">) => {
      asked.push(governance);
      return { ...facts, identityFingerprint: "ab".repeat(32), written: [], governanceKeys: 2 };
    };
    const { run, written } = surroundings({ join });
    const keys = ["0a", "0b"].map((byte) => `ed25519:${byte.repeat(32)}`);
    const flags = keys.flatMap((key) => ["--governance-key", key]);
    expect(await run("join", "token", ...flags, "--governance-threshold", "1")).toBe(0);
    expect(asked).toEqual([{ keys, threshold: 1 }]);
    expect(written.stdout).toContain("2 keys are pinned");
    expect(written.stdout).not.toContain("Write the federation's");
    expect(await run("join", "token", "--governance-key", "hello")).toBe(2);
    expect(written.stderr).toContain('"hello" is neither a public key nor a file\n  → ask the holders');
    expect(asked).toHaveLength(1);
  });

  it("ends with 3 for an invitation that is refused", async () => {
    const join = () =>
      Promise.reject(new ConsiliumError("token-refused", "the token was used", { remedy: "ask again" }));
    const { run, written } = surroundings({ join });
    expect(await run("join", "token")).toBe(3);
    expect(written.stderr).toContain("error: the token was used\n  → ask again\n");
  });

  it("runs until it is asked to stop", async () => {
    let stopped = 0;
    const { run, written, home } = surroundings({
      startAgent: async ({ onStatus }) => {
        onStatus?.(status);
        onStatus?.({ ...status, stepsDone: 4 });
        return { status, stop: async () => void stopped++ };
      },
    });
    expect(await run("run", "--home", home)).toBe(0);
    expect(stopped).toBe(1);
    expect(written.stdout).toBe("site-a of demo, connected to fl.example.org:7700\nrun run-1, round 3: training\n");
  });

  it("names the line of a configuration that it cannot follow", async () => {
    const { run, written, home } = surroundings();
    writeFileSync(join(home, "site.yaml"), "data: { source: folder, path: images }\ncolour: red\n");
    expect(await run("run", "--home", home)).toBe(2);
    expect(written.stderr).toContain("site.yaml:2: unknown key 'colour'");
  });

  it.each(["run", "check-data"])("%s says how to join where no site has joined", async (command) => {
    const { run, written } = surroundings();
    expect(await run(command, "--home", "/nonexistent")).toBe(2);
    expect(written.stderr).toContain("no site has joined in this home");
    expect(written.stderr).toContain("consilium-agent join");
  });

  it("tells the status, and whether the agent runs", async () => {
    const { run, written, home } = surroundings();
    expect(await run("status", "--home", home)).toBe(4);
    writeStatus(siteHome(home).statusJson, status);
    expect(await run("status", "--home", home)).toBe(5);
    written.stdout = "";
    const unlock = lockHome(siteHome(home).lock);
    expect(await run("status", "--home", home)).toBe(0);
    expect(written.stdout).toContain("run run-1, round 3: training 2 of 5 steps");
    written.stdout = "";
    expect(await run("status", "--home", home, "--json")).toBe(0);
    expect(JSON.parse(written.stdout)).toEqual({ running: true, ...status, waitingApprovals: [] });
    unlock();
  });

  it("checks data: 0 when it can be used, 6 with the files' names when not", async () => {
    const good = surroundings({ checkData: async () => report });
    expect(await good.run("check-data", "--home", good.home)).toBe(0);
    const unreadable = ["a.jpg", "b.jpg", "c.jpg"].map((id) => ({ id, reason: "truncated" as const }));
    const bad = surroundings({
      checkData: async () => ({ ...report, unreadable, unreadableByReason: { truncated: 3 } }),
    });
    expect(await bad.run("check-data", "--home", bad.home)).toBe(6);
    expect(bad.written.stdout).toMatch(/b\.jpg +truncated/);
    expect(bad.written.stderr).toContain("3 of 11 images cannot be read");
    const none = surroundings({
      checkData: () => Promise.reject(new ConsiliumError("not-enough-data", "image folder x: holds no image")),
    });
    expect(await none.run("check-data", "--data", "x")).toBe(6);
  });

  it("refuses a page that cannot be written before it reads an image", async () => {
    let asked = 0;
    const checkData = async () => {
      asked++;
      return report;
    };
    const { home, run, written } = surroundings({ checkData });
    for (const page of [join(home, "none", "page.html"), home]) {
      expect(await run("check-data", "--home", home, "--html", page)).not.toBe(0);
      expect(written.stderr).toContain(`${page}: the page cannot be written`);
    }
    expect(asked).toBe(0);
    const page = join(home, "page.html");
    expect(await run("check-data", "--home", home, "--html", page)).toBe(0);
    expect(statSync(page).mode & 0o777).toBe(0o600);
  });

  it("exports an encoder", async () => {
    const exportCheckpoint = async () => ({
      ...{ safetensors: "w/encoder.safetensors", onnx: "w/encoder.onnx", architecture: "vit-nano", method: "mae" },
    });
    const { run, written } = surroundings({ exportCheckpoint });
    expect(await run("export", "--checkpoint", "c", "--out", "w", "--json")).toBe(0);
    expect(JSON.parse(written.stdout)).toMatchObject({ onnx: "w/encoder.onnx" });
  });

  it("exports the cells of a run of clusters", async () => {
    const { run, written } = surroundings({
      exportCheckpoint: async () => ({ clusters: "w/clusters.json", cells: 9 }),
    });
    expect(await run("export", "--checkpoint", "c", "--out", "w")).toBe(0);
    expect(written.stdout).toContain("w/clusters.json (9 cells)");
  });
});
