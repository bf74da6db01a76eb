import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DeviceProbe } from "../devices/device.js";
import { type Command, type CommandOutcome, commandLine, runCommand } from "./commands.js";
import { installTensorflow, planTensorflow } from "./install-tensorflow.js";

const folder = () => realpathSync(mkdtempSync(join(tmpdir(), "tensorflow-install-")));
const works: DeviceProbe = { device: "tensorflow", available: true, detail: "TensorFlow 2" };
const onLinux = process.platform === "linux";

function fakeLibrary(): string {
  const directory = folder();
  for (const file of ["include/tensorflow/c/eager/c_api.h", "libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), "");
  }
  return directory;
}

function machine(outcomes: Partial<Record<string, CommandOutcome>> = {}, probe: DeviceProbe = works) {
  const [ran, said]: [Command[], string[]] = [[], []];
  const run = async (command: Command) => {
    ran.push(command);
    return outcomes[command.file] ?? { exitCode: 0, tail: "" };
  };
  return { ran, said, parts: { run, probe: async () => probe, onStep: (title: string) => said.push(title) } };
}

const downloading = () => planTensorflow({ engineDirectory: join(folder(), "engines", "tensorflow"), kind: "gpu" });

describe("the plan", () => {
  it("fetches the package without running its scripts, and shares this program's TensorFlow.js", () => {
    const { manifest, steps } = downloading();
    const [fetch] = steps;
    expect(commandLine(fetch!.command)).toMatch(/^npm install --ignore-scripts /);
    const { dependencies } = manifest as { dependencies: Record<string, string> };
    expect(dependencies["@tensorflow/tfjs-node-gpu"]).toMatch(/^\d+\.\d+\.\d+$/);
    const shared = dependencies["@tensorflow/tfjs"]!.replace("file:", "");
    expect(existsSync(join(shared, "package.json"))).toBe(true);
    expect(dependencies["@tensorflow/tfjs-core"]).toBe(`file:${join(dirname(shared), "tfjs-core")}`);
  });

  it("lets the package's own script run only for a download", () => {
    const { manifest, steps } = downloading();
    expect(manifest).toMatchObject({ allowScripts: { "@tensorflow/tfjs-node-gpu": true } });
    expect(commandLine(steps[1]!.command)).toMatch(/^npm rebuild @tensorflow\/tfjs-node-gpu /);
  });

  it.runIf(onLinux)("builds with a library that is here, found again by the native part", () => {
    const library = fakeLibrary();
    const { manifest, steps } = planTensorflow({ engineDirectory: folder(), kind: "cpu", library });
    expect(manifest).toMatchObject({ allowScripts: { "@tensorflow/tfjs-node": false } });
    const line = commandLine(steps[1]!.command);
    expect(line).toContain(`-I${library}/include`);
    expect(line).toContain(`${library}/libtensorflow_cc.so.2`);
    expect(line).toContain(`-Wl,-rpath,${library}`);
    expect(line).toMatch(/lib\/napi-v8\/tfjs_binding\.node$/);
  });

  it("changes nothing, and names the real folder behind a link", () => {
    const real = folder();
    const link = join(folder(), "link");
    symlinkSync(real, link);
    const { directory } = planTensorflow({ engineDirectory: join(link, "engines"), kind: "cpu" });
    expect(directory).toBe(join(real, "engines"));
    expect(existsSync(directory)).toBe(false);
  });

  it.runIf(onLinux)("refuses a folder that is not TensorFlow's", () => {
    const library = folder();
    expect(() => planTensorflow({ engineDirectory: folder(), kind: "cpu", library })).toThrow(
      "is no folder of TensorFlow",
    );
  });
});

describe("an installation", () => {
  it("runs the steps in order and looks at the result", async () => {
    const [plan, { ran, said, parts }] = [downloading(), machine()];
    expect(await installTensorflow(plan, parts)).toEqual(works);
    expect(ran.map(({ parameters }) => parameters[0])).toEqual(["install", "rebuild"]);
    expect(said).toHaveLength(3);
    expect(JSON.parse(readFileSync(join(plan.directory, "package.json"), "utf8"))).toEqual(plan.manifest);
  });

  it("stops at the step that fails, with the end of what it wrote", async () => {
    const { ran, parts } = machine({ npm: { exitCode: 1, tail: "ENOTFOUND registry" } });
    const failed = installTensorflow(downloading(), parts);
    await expect(failed).rejects.toMatchObject({ code: "unreachable", remedy: expect.stringContaining("registry") });
    await expect(failed).rejects.toThrow("npm ended with 1:\nENOTFOUND registry");
    expect(ran).toHaveLength(1);
  });

  it.runIf(onLinux)("asks for a compiler where there is none", async () => {
    const plan = planTensorflow({ engineDirectory: folder(), kind: "cpu", library: fakeLibrary() });
    const { parts } = machine({ "g++": { exitCode: undefined, tail: "spawn g++ ENOENT" } });
    const remedy = expect.stringContaining("apt-get install g++");
    await expect(installTensorflow(plan, parts)).rejects.toMatchObject({ code: "config-missing", remedy });
  });

  it("fails when the result does not load", async () => {
    const { parts } = machine({}, { ...works, available: false, detail: "wrong library", remedy: "take another" });
    const failed = installTensorflow(downloading(), parts);
    await expect(failed).rejects.toMatchObject({ code: "config-invalid", remedy: "take another" });
    await expect(failed).rejects.toThrow("wrong library");
  });
});

describe("a command", () => {
  const node = (script: string): Command => ({
    file: process.execPath,
    parameters: ["-e", script],
    directory: tmpdir(),
  });

  it("gives its exit code and the end of both streams", async () => {
    const outcome = await runCommand(node("console.log('x'.repeat(9000)); console.error('end'); process.exit(3)"));
    expect(outcome.exitCode).toBe(3);
    expect(outcome.tail).toContain("end");
    expect(outcome.tail.length).toBeLessThanOrEqual(4000);
  });

  it("has no exit code when it cannot be started", async () => {
    const outcome = await runCommand({ file: "no-such-program-here", parameters: [], directory: tmpdir() });
    expect(outcome).toEqual({ exitCode: undefined, tail: expect.stringContaining("ENOENT") });
  });

  it("is shown as it would be typed", () => {
    expect(commandLine({ file: "g++", parameters: ["-I/a b", "x.cc"], directory: "/" })).toBe("g++ '-I/a b' x.cc");
  });
});
