import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { silentLogger } from "@consilium/shared/log.js";
import { describe, expect, it } from "vitest";
import type { DoctorReport, DoctorRequest } from "../engine/devices/doctor.js";
import type { SelfTestReport } from "../engine/devices/self-test.js";
import type { TensorflowInstallRequest } from "../engine/install/install-tensorflow.js";
import type { TensorflowPlan } from "../engine/install/tensorflow-plan.js";
import type { EngineTools } from "./engine-tools.js";
import { runCommandLine } from "./program.js";
import { testEngineTools } from "./test-engine-tools.js";

const passed: SelfTestReport = {
  passed: true,
  checks: [{ name: "linear", difference: 2e-7, limit: 1e-4, passed: true }],
  speed: { step: "simclr step", batchSize: 4, stepsPerSecond: 12.34, firstLoss: 2, lastLoss: 1.5 },
};
const cpu = { device: "cpu", precision: "float32", reason: "the first that serves" } as const;
const report: DoctorReport = {
  machine: {
    ...{ processor: "Xeon", threads: 2, memoryBytes: 2 ** 34, availableMemoryBytes: 2 ** 33 },
    ...{ system: "linux x64", node: "v20.0.0" },
  },
  devices: [
    { device: "cuda", available: false, detail: "no provider", remedy: "install it" },
    { device: "webgpu", available: true, detail: "SwiftShader", software: true },
    { device: "cpu", available: true, detail: "2 threads" },
  ],
  automatic: cpu,
  chosen: cpu,
  test: passed,
};

const plan: TensorflowPlan = {
  directory: "/home/engines/tensorflow",
  manifest: { private: true },
  steps: [
    {
      title: "fetch the package",
      command: { file: "npm", parameters: ["install"], directory: "/home/engines/tensorflow" },
      failure: { code: "unreachable", remedy: "look at the network", missing: "install npm" },
    },
  ],
};

function agent(tools: Partial<EngineTools> = {}) {
  const written = { stdout: "", stderr: "" };
  const streamTo = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const unexpected = () => Promise.reject(new Error("not called in this test"));
  const home = mkdtempSync(join(tmpdir(), "agent-engine-"));
  const around = {
    ...{ stdout: streamTo("stdout"), stderr: streamTo("stderr"), userFolder: "/nonexistent" },
    ...{ clock: new ManualClock(0), signal: AbortSignal.abort(), version: "1", env: { CONSILIUM_AGENT_HOME: home } },
    ...{ join: unexpected, startAgent: unexpected, checkData: unexpected, exportCheckpoint: unexpected },
    createLogger: () => silentLogger,
    engines: testEngineTools(tools),
    askForRosters: async () => [],
  };
  return { home, written, run: (...parameters: string[]) => runCommandLine(["engine", ...parameters], around) };
}

describe("engine doctor", () => {
  const finding = (changes: Partial<DoctorReport> = {}) => {
    const asked: DoctorRequest[] = [];
    const examine = async (request: DoctorRequest) => {
      asked.push(request);
      const { test, ...rest } = { ...report, ...changes };
      return { ...rest, ...("device" in rest.chosen && test !== undefined ? { test } : {}) };
    };
    return { asked, ...agent({ examine }) };
  };

  it("shows devices, remedies, the choice and the test", async () => {
    const { run, written } = finding();
    expect(await run("doctor")).toBe(0);
    for (const part of [
      /cuda +no +no provider/,
      /webgpu +in software +SwiftShader/,
      "→ for cuda: install it",
      /auto +cpu in float32, the first that serves/,
      /linear +2\.0e-7 +1e-4 +ok/,
      "12 steps/s",
      "passed",
    ]) {
      expect(written.stdout).toMatch(part);
    }
    expect(written.stdout).not.toMatch(/^chosen/m);
  });

  it("says whose settings count", async () => {
    const { run, written, home } = finding();
    await run("doctor");
    expect(written.stdout).toMatch(`settings   defaults, no site has joined in ${home}`);
    writeFileSync(join(home, "site.yaml"), "data: { source: folder, path: x }\n");
    await run("doctor");
    expect(written.stdout).toMatch(`settings   ${join(home, "site.yaml")}`);
  });

  it("tests what site.yaml asks for, unless told otherwise", async () => {
    const { run, asked, home } = finding();
    await run("doctor");
    writeFileSync(
      join(home, "site.yaml"),
      "data: { source: folder, path: x }\ntrainer: { device: cpu, precision: mixed, threads: 3 }\n",
    );
    await run("doctor");
    await run("doctor", "--device", "webgpu", "--precision", "float32", "--no-test");
    const tensorflowDirectory = join(home, "engines", "tensorflow");
    expect(asked).toEqual([
      { device: "auto", precision: "auto", test: true, tensorflowDirectory },
      { device: "cpu", precision: "mixed", test: true, tensorflowDirectory, threads: 3 },
      { device: "webgpu", precision: "float32", test: false, tensorflowDirectory, threads: 3 },
    ]);
  });

  it("prints everything as JSON", async () => {
    const { run, written } = finding();
    expect(await run("doctor", "--json")).toBe(0);
    expect(JSON.parse(written.stdout)).toEqual({ passed: true, ...report });
  });

  it.each([
    [
      "a wrong value",
      { test: { ...passed, passed: false, checks: [{ ...passed.checks[0]!, passed: false }] } },
      "linear differ",
    ],
    ["a loss that does not fall", { test: { ...passed, passed: false } }, "the loss does not fall"],
    ["a test that fails", { test: { passed: false, checks: [], failure: { message: "it crashed" } } }, "it crashed"],
    [
      "a device that cannot be used",
      { chosen: { message: "no cuda", remedy: "install it" } },
      "no cuda\n  → install it",
    ],
  ])("ends with 6 for %s", async (_name, changes, message) => {
    const { run, written } = finding(changes);
    expect(await run("doctor")).toBe(6);
    expect(written.stderr).toContain(message);
    expect(written.stdout).not.toContain("\npassed");
  });

  it("names the devices when asked for one that does not exist", async () => {
    const { run, written } = finding();
    expect(await run("doctor", "--device", "tpu")).toBe(2);
    expect(written.stderr).toContain("auto, cpu, webgpu, cuda, tensorflow");
  });
});

describe("engine install tensorflow", () => {
  const planning = (nvidia = false) => {
    const asked: TensorflowInstallRequest[] = [];
    const installed: TensorflowPlan[] = [];
    const tools: Partial<EngineTools> = {
      hasNvidiaDriver: () => nvidia,
      planTensorflow(request) {
        asked.push(request);
        return plan;
      },
      async installTensorflow(given, onStep) {
        installed.push(given);
        onStep("fetch the package");
        return { device: "tensorflow", available: true, detail: "TensorFlow 2.21.0" };
      },
    };
    return { asked, installed, ...agent(tools) };
  };

  it("explains both ways when none is given, and does nothing", async () => {
    const { run, written, asked } = planning();
    expect(await run("install", "tensorflow")).toBe(2);
    expect(written.stdout).toMatch(/--library DIR [\s\S]*--download /);
    expect(asked).toEqual([]);
  });

  it("shows every command of a dry run", async () => {
    const { run, written, installed } = planning();
    expect(await run("install", "tensorflow", "--download", "--dry-run")).toBe(0);
    expect(written.stdout).toContain("cd /home/engines/tensorflow\n     npm install\n");
    expect(installed).toEqual([]);
  });

  it("installs into the home, and says what comes next", async () => {
    const { run, written, asked, installed, home } = planning();
    expect(await run("install", "tensorflow", "--library", "/tf")).toBe(0);
    expect(asked).toEqual([{ engineDirectory: join(home, "engines", "tensorflow"), library: "/tf", kind: "gpu" }]);
    expect(installed).toEqual([plan]);
    expect(written.stderr).toBe("1. fetch the package\n");
    expect(written.stdout).toContain("TensorFlow 2.21.0");
    expect(written.stdout).toContain("engine doctor --device tensorflow");
  });

  it.each([
    ["cpu", false, []],
    ["gpu", true, []],
    ["gpu", false, ["--gpu"]],
    ["cpu", true, ["--cpu"]],
  ])("downloads for the %s (NVIDIA driver: %s) with %j", async (kind, nvidia, options) => {
    const { run, asked } = planning(nvidia);
    await run("install", "tensorflow", "--download", ...options);
    expect(asked[0]?.kind).toBe(kind);
  });

  it.each([
    ["--gpu", "--cpu"],
    ["--library=/tf", "--download"],
  ])("refuses %s with %s", async (...options) => {
    const { run, written } = planning();
    expect(await run("install", "tensorflow", "--download", ...options)).toBe(2);
    expect(written.stderr).toContain("exclude each other");
  });
});
