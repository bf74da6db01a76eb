import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import type { RunDetail } from "../round/progress.js";
import type { Admin } from "../rpc/admin-types.js";
import { runCommandLine } from "./program.js";
import {
  profileFolder,
  roundRecord,
  runDetail,
  runSummary,
  temporaryFolder,
  testSurroundings,
} from "./test-surroundings.js";

const validRun = `name: derm
modality: dermatology
model: { architecture: vit-nano, imageSize: 32, patchSize: 8 }
method: { name: simclr }
optimizer: { learningRate: 0.001 }
rounds: 4
`;

function runFile(text: string): string {
  const path = join(temporaryFolder(), "run.yaml");
  writeFileSync(path, text);
  return path;
}

async function run(admin: Partial<Admin>, ...parameters: string[]) {
  const test = testSurroundings({ admin, env: { CONSILIUM_PROFILE: profileFolder() } });
  const exitCode = await runCommandLine(parameters, test.surroundings, "0");
  return { exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

async function* stream(...details: RunDetail[]): AsyncGenerator<RunDetail> {
  yield* details;
}

const completed = runDetail({
  summary: runSummary({ status: "completed", roundsDone: 1, roundsTotal: 1, lastLoss: 4 }),
  history: [roundRecord(1)],
});

describe("consilium run launch", () => {
  it("sends the file's own text under a fresh request id", async () => {
    const asked: unknown[] = [];
    const launchRun: Admin["launchRun"] = async (request) => {
      asked.push(request);
      return runSummary({ status: "queued" });
    };
    const { exitCode, stdout } = await run({ launchRun }, "run", "launch", runFile(validRun));
    expect(exitCode).toBe(0);
    expect(asked).toEqual([{ requestId: "request-1", configYaml: validRun }]);
    expect(stdout).toContain("launched run r-1 (derm): simclr on vit-nano, 4 rounds\n");
    expect(stdout).toContain("consilium run watch r-1");
  });

  it("repeats a request whose answer was lost under the same id", async () => {
    const asked: string[] = [];
    const launchRun: Admin["launchRun"] = async ({ requestId }) => {
      asked.push(requestId);
      if (asked.length === 1) throw new ConsiliumError("unreachable", "localhost:7700 cannot be reached");
      return runSummary();
    };
    expect((await run({ launchRun }, "run", "launch", runFile(validRun))).exitCode).toBe(0);
    expect(asked).toEqual(["request-1", "request-1"]);
  });

  it("names the line of every mistake before it connects", async () => {
    const path = runFile(`${validRun}round: 3\ncohort:\n  minSites: many\n`);
    const { exitCode, stderr } = await run({}, "run", "launch", path);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${path}:7: unknown key 'round'`);
    expect(stderr).toContain(`${path}:9: cohort.minSites:`);
  });

  it("says which file is missing", async () => {
    const { exitCode, stderr } = await run({}, "run", "launch", "/no/run.yaml");
    expect(exitCode).toBe(2);
    expect(stderr).toContain("error: /no/run.yaml: cannot be read (ENOENT)");
  });

  it("stays and watches, and then tells scripts each change on a line", async () => {
    const calls = { launchRun: async () => runSummary(), watchRun: () => stream(runDetail(), runDetail(), completed) };
    const { exitCode, stdout } = await run(calls, "run", "launch", runFile(validRun), "--watch", "--json");
    expect(exitCode).toBe(0);
    const documents = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(documents).toHaveLength(3);
    expect(documents[0].runId).toBe("r-1");
    expect(documents[1]).toEqual({ run: runSummary(), current: null, lastRound: null });
    expect(documents[2].lastRound.round).toBe(1);
  });
});

describe("consilium run watch", () => {
  it.each(["failed", "stopped", "paused"])("ends with 6 and the reason when the run is %s", async (status) => {
    const detail = runDetail({ summary: runSummary({ status, statusReason: "too few sites" }) });
    const calls = { listRuns: async () => [runSummary()], watchRun: () => stream(detail) };
    const { exitCode, stdout, stderr } = await run(calls, "run", "watch", "derm");
    expect({ exitCode, stderr }).toEqual({ exitCode: 6, stderr: "" });
    expect(stdout).toContain(`run derm (r-1) is ${status}: too few sites`);
  });

  it("keeps standard output free of text for scripts", async () => {
    const detail = runDetail({ summary: runSummary({ status: "failed", statusReason: "too few sites" }) });
    const calls = { listRuns: async () => [runSummary()], watchRun: () => stream(detail) };
    const { stdout, stderr } = await run(calls, "run", "watch", "r-1", "--json");
    expect(JSON.parse(stdout).run.status).toBe("failed");
    expect(stderr).toBe("run derm (r-1) is failed: too few sites\n");
  });
});

describe("consilium run list and show", () => {
  it("shows a table", async () => {
    const { stdout } = await run(
      { listRuns: async () => [runSummary({ roundsDone: 2, lastLoss: 3.1449 })] },
      "run",
      "list",
    );
    expect(stdout.split("\n").slice(0, 2)).toEqual([
      "RUN  NAME  METHOD  MODEL     STATUS   ROUNDS   LOSS  CHANGED",
      "r-1  derm  simclr  vit-nano  running     2/4  3.145  1 min 00 s ago",
    ]);
  });

  it("accepts --json before the command, too", async () => {
    const { stdout } = await run({ listRuns: async () => [] }, "--json", "run", "list");
    expect(stdout).toBe('{"runs":[]}\n');
  });

  it("shows a run's rounds and what was dropped", async () => {
    const dropped = [{ siteId: "c", phase: "dropped", reason: "deadline", stepsDone: 3, uploadedBytes: 0 }];
    const detail = runDetail({ history: [roundRecord(1, { dropped, figures: { featureSpread: 0.6 } })] });
    const calls = { listRuns: async () => [runSummary()], getRun: async () => detail };
    const { stdout } = await run(calls, "run", "show", "r-1");
    expect(stdout).toMatch(/ROUND +LOSS +SITES/);
    expect(stdout).toContain("c (deadline)");
    expect(stdout).toMatch(/ROUND +SPREAD\n +1 +0\.6\n/);
  });

  it("gives scripts the configuration as a document", async () => {
    const calls = {
      listRuns: async () => [runSummary()],
      getRun: async () => runDetail({ configJson: '{"rounds":4}' }),
    };
    const { stdout } = await run(calls, "run", "show", "r-1", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ config: { rounds: 4 }, current: null, history: [] });
  });
});

describe("which run is meant", () => {
  const runs = [
    runSummary({ runId: "abc1" }),
    runSummary({ runId: "abd2" }),
    runSummary({ runId: "x", name: "chest" }),
  ];
  const calls = (met: string[]) => ({
    listRuns: async () => runs,
    stopRun: async (runId: string) => {
      met.push(runId);
      return runSummary({ runId, status: "stopped" });
    },
  });

  it.each([
    ["abc1", "abc1"],
    ["abd", "abd2"],
    ["chest", "x"],
  ])("%s is %s", async (text, runId) => {
    const met: string[] = [];
    expect((await run(calls(met), "run", "stop", text)).exitCode).toBe(0);
    expect(met).toEqual([runId]);
  });

  it.each([
    ["derm", 2, "may mean 2 runs: abc1 (running), abd2 (running)"],
    ["other", 4, "there is no run 'other'"],
  ])("%s is nobody's", async (text, code, words) => {
    const { exitCode, stderr } = await run(calls([]), "run", "stop", text);
    expect(exitCode).toBe(code);
    expect(stderr).toContain(words);
  });
});

describe("failures", () => {
  it.each([
    ["unreachable", 5],
    ["not-authorised", 3],
    ["certificate-refused", 3],
    ["internal", 1],
  ] as const)("%s ends with %d", async (code, exitCode) => {
    const listRuns = () => Promise.reject(new ConsiliumError(code, "localhost:7700 said no", { remedy: "ask again" }));
    expect(await run({ listRuns }, "run", "list")).toEqual({
      exitCode,
      stdout: "",
      stderr: "error: localhost:7700 said no\n  → ask again\n",
    });
  });

  it("an interruption ends with 130 and without words", async () => {
    const listRuns = () => Promise.reject(new AbortedError());
    expect(await run({ listRuns }, "run", "list")).toEqual({ exitCode: 130, stdout: "", stderr: "" });
  });

  it("a signal ends a call that does not answer", async () => {
    const signal = AbortSignal.abort();
    const test = testSurroundings({
      signal,
      admin: { listRuns: () => new Promise(() => {}) },
      env: { CONSILIUM_PROFILE: profileFolder() },
    });
    expect(await runCommandLine(["run", "list"], test.surroundings, "0")).toBe(130);
  });
});
