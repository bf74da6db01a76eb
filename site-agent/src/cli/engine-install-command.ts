import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { exitCodes, type Output } from "@consilium/shared/terminal/output.js";
import type { Command } from "commander";
import { tensorflowDirectory } from "../engine/devices/tensorflow-package.js";
import { commandLine } from "../engine/install/commands.js";
import type { TensorflowPlan } from "../engine/install/tensorflow-plan.js";
import { CommandFailed } from "./command-failed.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface InstallOptions {
  readonly home?: string;
  readonly library?: string;
  readonly download?: true;
  readonly gpu?: true;
  readonly cpu?: true;
  readonly dryRun?: true;
}

export function addEngineInstall(engine: Command, surroundings: Surroundings): void {
  const install = engine.command("install").description("install what a device needs beyond the agent itself");
  const command = install
    .command("tensorflow")
    .description("native TensorFlow, for trainer.device: tensorflow; nothing else needs it")
    .option("--home <dir>", homeHelp)
    .option("--library <dir>", "build with this TensorFlow: the folder of Python's tensorflow package")
    .option("--download", "let the package's own install script download TensorFlow 2.9.1 and a native part for it")
    .option("--gpu", "download for NVIDIA GPUs (default where the NVIDIA driver is loaded)")
    .option("--cpu", "download for the processor")
    .option("--dry-run", "say what would be done")
    .action(async (options: InstallOptions) => {
      await installTensorflow(options, outputOf(command, surroundings), surroundings);
    });
  example(
    command,
    "consilium-agent engine install tensorflow --library /opt/venv/lib/python3.11/site-packages/tensorflow",
    "consilium-agent engine install tensorflow --download --gpu --dry-run",
  );
  example(install, "consilium-agent engine install tensorflow --library DIR");
}

async function installTensorflow(options: InstallOptions, output: Output, surroundings: Surroundings): Promise<void> {
  const { library } = options;
  checkOptions(options);
  if (library === undefined && options.download === undefined) throw explained(output);
  const { engines } = surroundings;
  const engineDirectory = tensorflowDirectory(homeOf(options.home, surroundings).root);
  const kind = kindFor(options, surroundings);
  const plan = engines.planTensorflow({ engineDirectory, kind, ...(library === undefined ? {} : { library }) });
  if (options.dryRun === true) {
    output.result({ done: false, ...plan }, () => planLines(plan));
    return;
  }
  let count = 0;
  const probe = await engines.installTensorflow(plan, (title) => output.note(`${++count}. ${title}`));
  output.result({ done: true, directory: plan.directory, ...probe }, () => [
    `installed in ${plan.directory}: ${probe.detail}`,
    "",
    "Next:",
    "  1. consilium-agent engine doctor --device tensorflow",
    "  2. Set trainer.device to tensorflow in site.yaml, if it is faster than the others.",
  ]);
}

/** A library decides by itself; both packages build alike with one. */
function kindFor({ gpu, cpu, library }: InstallOptions, { engines }: Surroundings): "gpu" | "cpu" {
  if (cpu === true) return "cpu";
  return gpu === true || library !== undefined || engines.hasNvidiaDriver() ? "gpu" : "cpu";
}

function checkOptions({ library, download, gpu, cpu }: InstallOptions): void {
  if (gpu === true && cpu === true) throw conflict("--gpu", "--cpu");
  if (library !== undefined && download === true) throw conflict("--library", "--download");
}

function conflict(one: string, other: string): ConsiliumError {
  return new ConsiliumError("config-invalid", `${one} and ${other} exclude each other`, { remedy: "give one of them" });
}

const guide = `Native TensorFlow has two parts: a package from the npm registry, and TensorFlow itself, which this command takes
either from this machine or from the network.

  --library DIR   Builds the package's native part with a TensorFlow that is here, in about ten seconds. Needs a C++
                  compiler and Node's headers. DIR is the folder of Python's package. To get one, with CUDA:
                    python3 -m venv /opt/tensorflow && /opt/tensorflow/bin/pip install 'tensorflow[and-cuda]'
                  Without a GPU, install tensorflow-cpu instead. Keep the folder: the native part uses it in place.

  --download      Runs the package's own install script. It downloads TensorFlow 2.9.1 and a native part for it from
                  storage.googleapis.com, some hundred megabytes, which it does not verify. For GPUs, that TensorFlow
                  needs CUDA 11.2 and cuDNN 8 on this machine.

Add --dry-run to see every command before it is run. Nothing has been installed.`;

/** Both ways have a price: a person chooses. */
function explained(output: Output): CommandFailed {
  for (const line of guide.split("\n")) output.line(line);
  const error = new ConsiliumError("config-invalid", "where TensorFlow is to come from was not said", {
    remedy: "give --library DIR or --download",
  });
  return new CommandFailed(error, exitCodes.usage);
}

function planLines({ directory, manifest, steps }: TensorflowPlan): string[] {
  return [
    `1. write ${join(directory, "package.json")}`,
    ...JSON.stringify(manifest, null, 2)
      .split("\n")
      .map((line) => `     ${line}`),
    ...steps.flatMap(({ title, command }, index) => [
      `${index + 2}. ${title}`,
      `     cd ${command.directory}`,
      `     ${commandLine(command)}`,
    ]),
    `${steps.length + 2}. load it and look which device it finds`,
    "",
    "Nothing has been done.",
  ];
}
