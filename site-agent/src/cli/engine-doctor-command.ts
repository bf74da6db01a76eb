import { existsSync } from "node:fs";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { LiveBlock } from "@consilium/shared/terminal/live.js";
import { exitCodes, type TextStream } from "@consilium/shared/terminal/output.js";
import { type Command, Option } from "commander";
import { loadSiteConfig } from "../config.js";
import { type DeviceChoice, deviceChoices, type EngineRequest } from "../engine/devices/device.js";
import type { DoctorReport, DoctorRequest, Problem } from "../engine/devices/doctor.js";
import { tensorflowDirectory } from "../engine/devices/tensorflow-package.js";
import type { SiteHome } from "../home.js";
import { CommandFailed } from "./command-failed.js";
import { doctorLines } from "./engine-doctor-view.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";

interface DoctorOptions {
  readonly home?: string;
  readonly device?: DeviceChoice;
  readonly precision?: NonNullable<EngineRequest["precision"]>;
  readonly test: boolean;
}

export function addEngineDoctor(engine: Command, surroundings: Surroundings): void {
  const command = engine
    .command("doctor")
    .description(
      "which devices this machine can train on, and whether the chosen one computes right; exits with 6 when not",
    )
    .option("--home <dir>", homeHelp)
    .addOption(new Option("--device <device>", "choose this one instead of site.yaml's").choices(deviceChoices))
    .addOption(
      new Option("--precision <precision>", "test with this precision instead of site.yaml's").choices([
        "auto",
        "float32",
        "mixed",
      ]),
    )
    .option("--no-test", "only look, compute nothing")
    .action(async (options: DoctorOptions) => {
      const home = homeOf(options.home, surroundings);
      const report = await withProgress(surroundings.stderr, (onCase) =>
        surroundings.engines.examine(requestFrom(options, home), onCase),
      );
      const problem = problemOf(report);
      outputOf(command, surroundings).result({ passed: problem === undefined, ...report }, () =>
        doctorLines(report, settingsText(home)),
      );
      if (problem !== undefined) throw new CommandFailed(problem, exitCodes.refused);
    });
  example(
    command,
    "consilium-agent engine doctor",
    "consilium-agent engine doctor --device webgpu --precision float32 --json",
  );
}

/** A site that has joined is tested as it is configured. */
function requestFrom({ device, precision, test }: DoctorOptions, home: SiteHome): DoctorRequest {
  const trainer = existsSync(home.siteYaml) ? loadSiteConfig(home).trainer : undefined;
  const threads = trainer?.threads ?? 0;
  return {
    device: device ?? trainer?.device ?? "auto",
    precision: precision ?? trainer?.precision ?? "auto",
    test,
    tensorflowDirectory: tensorflowDirectory(home.root),
    ...(threads === 0 ? {} : { threads }),
  };
}

function settingsText({ root, siteYaml }: SiteHome): string {
  return existsSync(siteYaml) ? siteYaml : `defaults, no site has joined in ${root}`;
}

function problemOf({ chosen, test }: DoctorReport): ConsiliumError | undefined {
  if (!("device" in chosen)) return failed(chosen);
  if (test === undefined || test.passed) return undefined;
  if (test.failure !== undefined) return failed(test.failure);
  const names = test.checks.filter(({ passed }) => !passed).map(({ name }) => name);
  const what = names.length === 0 ? "the loss does not fall" : `${names.join(", ")} differ from the reference`;
  return failed({
    message: `${chosen.device} in ${chosen.precision} computes wrongly: ${what}`,
    remedy: "update the device's driver, or set trainer.device to another device in site.yaml",
  });
}

function failed({ message, remedy }: Problem): ConsiliumError {
  return new ConsiliumError("training-failed", message, remedy === undefined ? {} : { remedy });
}

/** On a terminal, what is being done stands there while it is done. */
async function withProgress<T>(stream: TextStream, work: (onCase: (name: string) => void) => Promise<T>): Promise<T> {
  const live = new LiveBlock(stream);
  const show = (lines: readonly string[]) => live.inPlace && live.show({ lines, summary: [] });
  show(["looking for devices"]);
  try {
    return await work((name) => show([`testing: ${name}`]));
  } finally {
    show([]);
  }
}
