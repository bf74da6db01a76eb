import { existsSync, realpathSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { DeviceProbe } from "../devices/device.js";
import { ownTfjsDirectory } from "../devices/tensorflow-package.js";
import { type Command, commandLine, type RunCommand } from "./commands.js";
import { findLibrary, findNodeHeaders } from "./tensorflow-library.js";
import { type NativeSource, type PlanStep, type TensorflowPlan, tensorflowPlan } from "./tensorflow-plan.js";

export interface TensorflowInstallRequest {
  readonly engineDirectory: string;
  /** A folder of TensorFlow to build with; absent: the package's own script downloads one. */
  readonly library?: string;
  /** Which of the two packages; they differ in what their script downloads. */
  readonly kind: "gpu" | "cpu";
}

/** What an installation needs of the machine. */
export interface InstallParts {
  readonly run: RunCommand;
  readonly probe: () => Promise<DeviceProbe>;
  /** Told before each step. */
  readonly onStep: (title: string) => void;
}

/**
 * What would be done; looks at the machine, changes nothing.
 * @throws ConsiliumError "config-invalid" when the library or Node's headers are not where they should be
 */
export function planTensorflow({ engineDirectory, library, kind }: TensorflowInstallRequest): TensorflowPlan {
  const union = ownTfjsDirectory();
  return tensorflowPlan({
    engineDirectory: realPathOf(resolve(engineDirectory)),
    packageName: kind === "gpu" ? "@tensorflow/tfjs-node-gpu" : "@tensorflow/tfjs-node",
    tfjs: { union, core: join(dirname(union), "tfjs-core") },
    source: library === undefined ? { from: "download" } : sourceIn(resolve(library)),
  });
}

function sourceIn(directory: string): NativeSource {
  if (process.platform !== "linux") {
    throw new ConsiliumError("config-invalid", `building with a library is for Linux, this is ${process.platform}`, {
      remedy: "use --download",
    });
  }
  const library = findLibrary(directory, existsSync);
  return { from: "library", library, nodeHeaders: findNodeHeaders(headerFolders(), existsSync) };
}

function headerFolders(): string[] {
  const gyp = join(homedir(), ".cache", "node-gyp", process.versions.node, "include", "node");
  return [join(dirname(realpathSync(process.execPath)), "..", "include", "node"), gyp, "/usr/include/node"];
}

/** Of the deepest part that exists: npm links relative to the real folder. */
function realPathOf(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(realPathOf(parent), path.slice(parent.length));
}

/**
 * Does what the plan says, and looks whether the device works then. Can be repeated.
 * @throws ConsiliumError "unreachable" when nothing can be fetched, "config-missing" when npm or the compiler is not
 *   installed, "config-invalid" when building fails or the result cannot be loaded
 */
export async function installTensorflow(plan: TensorflowPlan, parts: InstallParts): Promise<DeviceProbe> {
  await mkdir(plan.directory, { recursive: true });
  await writeFile(join(plan.directory, "package.json"), `${JSON.stringify(plan.manifest, null, 2)}\n`);
  for (const step of plan.steps) await runStep(step, parts);
  parts.onStep("load it and look which device it finds");
  const probe = await parts.probe();
  if (probe.available) return probe;
  throw new ConsiliumError("config-invalid", `the device cannot be used after all: ${probe.detail}`, {
    ...(probe.remedy === undefined ? {} : { remedy: probe.remedy }),
  });
}

async function runStep({ title, folder, command, failure }: PlanStep, { run, onStep }: InstallParts): Promise<void> {
  onStep(title);
  if (folder !== undefined) await mkdir(folder, { recursive: true });
  const { exitCode, tail } = await run(command);
  if (exitCode === 0) return;
  if (exitCode === undefined) {
    throw new ConsiliumError("config-missing", `${command.file} cannot be started: ${tail}`, {
      remedy: failure.missing,
    });
  }
  throw new ConsiliumError(failure.code, endOf(command, exitCode, tail), { remedy: failure.remedy });
}

function endOf(command: Command, exitCode: number, tail: string): string {
  const end = tail.split("\n").slice(-12).join("\n");
  return `${command.file} ended with ${exitCode}:\n${end}\n(command: ${commandLine(command)})`;
}
