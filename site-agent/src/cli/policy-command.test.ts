import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { silentLogger } from "@consilium/shared/log.js";
import { testGovernance, testRoster } from "@consilium/shared/roster/example-governance.js";
import { beforeEach, describe, expect, it } from "vitest";
import { testIdentity } from "../audit/test-log.js";
import { RosterFiles } from "../governance/roster-files.js";
import { siteHome } from "../home.js";
import type { Policy } from "../policy.js";
import { policyClauses } from "../policy-check.js";
import { exampleConfig, examplePolicy } from "../test-plans.js";
import { runCommandLine } from "./program.js";
import type { RunVerdicts } from "./run-verdicts.js";
import { testEngineTools } from "./test-engine-tools.js";
import { followTestRoster } from "./test-roster.js";

let home: string;
let runFile: string;
let governance: Policy["governance"];

/** A joined home with 21 files that look like images, and a policy that allows the example. */
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "policy-cli-"));
  const { identity, siteYaml } = siteHome(home);
  const images = join(home, "images");
  for (const directory of [identity.directory, images]) mkdirSync(directory);
  for (let file = 0; file < 21; file++) writeFileSync(join(images, `${file}.png`), "");
  writeFileSync(siteYaml, "data: { source: folder, path: images }\n");
  const enrolment = { version: 1, federation: "demo", siteId: "site-a", host: "h", port: 1 };
  writeFileSync(identity.enrolment, JSON.stringify({ ...enrolment, planPublicKey: "0".repeat(64) }));
  runFile = join(home, "run.yaml");
  writeFileSync(runFile, JSON.stringify(exampleConfig));
  governance = await followTestRoster(siteHome(home));
  writePolicy({});
});

type Jobs = Partial<(typeof examplePolicy)["jobs"]>;

function writePolicy(jobs: Jobs): void {
  writeFileSync(
    join(home, "policy.yaml"),
    JSON.stringify({ ...examplePolicy, governance, jobs: { ...examplePolicy.jobs, ...jobs } }),
  );
}

async function check(...options: string[]) {
  const written = { stdout: "", stderr: "" };
  const streamTo = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const unexpected = () => Promise.reject(new Error("not called in this test"));
  const code = await runCommandLine(["policy", "check", runFile, "--home", home, ...options], {
    ...{ stdout: streamTo("stdout"), stderr: streamTo("stderr"), env: {}, userFolder: "/nonexistent" },
    ...{ clock: new ManualClock(0), signal: AbortSignal.abort(), version: "1.2.3" },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(),
    askForRosters: async () => [],
  });
  return { code, ...written };
}

const verdictsOf = (stdout: string) => JSON.parse(stdout) as RunVerdicts;

describe("policy check", () => {
  it("prints what every clause says, and allows", async () => {
    const { code, stdout, stderr } = await check();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^clause +the run asks +the policy allows +verdict$/);
    expect(lines.slice(1, -2).map((line) => line.split(" ")[0])).toEqual(policyClauses);
    expect(stdout).toMatch(/\njobs\.maxRounds +10 rounds +at most 100 +allowed\n/);
    expect(stdout).toMatch(/\njobs\.minLocalSamples +this site's 21 images +at least 20 +allowed\n/);
    expect(lines.at(-1)).toBe("allowed");
  });

  it("refuses every run where no roster could be followed", async () => {
    const { keys: _keys, ...rest } = governance;
    for (const [changed, clause] of [
      [{ ...rest, keys: [] }, "governance.keys"],
      [{ ...rest, keys: examplePolicy.governance.keys, threshold: 1 }, "governance.roster"],
    ] as const) {
      governance = { ...changed, keys: [...changed.keys] };
      writePolicy({});
      const { code, stdout, stderr } = await check();
      expect(code).toBe(6);
      expect(stdout.trimEnd().split("\n").at(-1)).toBe(`refused by ${clause}`);
      expect(stderr).toMatch(clause === "governance.keys" ? /write the federation's keys/ : /new roster/);
    }
  });

  it("counts the floors of the roster", async () => {
    const holders = testGovernance();
    const key = new Uint8Array(32).fill(2);
    const files = new RosterFiles(siteHome(home).governance);
    const strict = testRoster({ "site-a": testIdentity.publicKey, "site-b": key }, holders, {
      ...{ minCohort: 9, maxColluders: 0 },
    });
    rmSync(siteHome(home).governance, { recursive: true });
    files.pin(strict);
    governance = { ...governance, keys: [...holders.governance.keys] };
    writePolicy({});
    expect((await check()).stdout).toMatch(/\nrefused by secagg.minCohort\n$/);
  });

  it("ends with 6, names every clause that refuses, and the reason of the first", async () => {
    writePolicy({ maxRounds: 9, minLocalSamples: 22 });
    const { code, stdout, stderr } = await check();
    expect(code).toBe(6);
    expect(stdout).toMatch(/\nrefused by jobs\.maxRounds, jobs\.minLocalSamples\n$/);
    expect(stderr).toContain("jobs.maxRounds: the run asks for 10 rounds, the policy allows 9\n");
    const refused = await check("--json");
    expect(refused.code).toBe(6);
    expect(verdictsOf(refused.stdout)).toMatchObject({ allowed: false });
    expect(verdictsOf(refused.stdout).clauses).toHaveLength(policyClauses.length);
  });

  it("leaves open what only the round decides", async () => {
    writePolicy({ approval: "manual" });
    writeFileSync(join(home, "site.yaml"), "data: { source: folder, path: elsewhere }\n");
    const { code, stdout, stderr } = await check();
    expect(code).toBe(0);
    expect(stderr).toMatch(/^images not counted: /);
    expect(stdout).toMatch(/\njobs\.minLocalSamples .* decided when the round begins\n/);
    expect(stdout).toContain("\nallowed, unless jobs.minLocalSamples, jobs.approval says no when the round begins\n");
  });

  it("ends with 2 and the line of a file that cannot be read", async () => {
    writeFileSync(runFile, `name: example\nmodality: dermatology\nroundz: 3\n`);
    const run = await check();
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("run.yaml:3: unknown key 'roundz'");
    writeFileSync(runFile, JSON.stringify(exampleConfig));
    writeFileSync(join(home, "policy.yaml"), "version: 1\njoobs: {}\n");
    const policy = await check();
    expect(policy.code).toBe(2);
    expect(policy.stderr).toContain("policy.yaml:2: unknown key 'joobs'");
    runFile = "/nonexistent/run.yaml";
    expect((await check()).code).toBe(2);
  });
});
