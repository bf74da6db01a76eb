import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { Output } from "@consilium/shared/terminal/output.js";
import { type Command, InvalidArgumentError, Option } from "commander";
import { explainRun } from "../engine/explain/explain-run.js";
import { availableMemory, readMemory } from "../engine/memory/available-memory.js";
import { explanationLines } from "./engine-explain-view.js";
import { example, type Surroundings } from "./surroundings.js";

interface ExplainOptions {
  readonly run: string;
  readonly batch?: number;
  readonly device: "cpu" | "webgpu";
  readonly threads?: number;
  readonly profile?: true;
  readonly top: number;
}

/** A warm-up and two that count. */
const profiledSteps = 3;

/** Adds `explain` to the `engine` command. */
export function addEngineExplain(
  engine: Command,
  { stdout, stderr, signal }: Pick<Surroundings, "stdout" | "stderr" | "signal">,
): void {
  const command = engine
    .command("explain")
    .description("what the training step of a run becomes on this machine: operations, memory, and with --profile time")
    .requiredOption("--run <file>", "run.yaml as a researcher writes it")
    .option("--batch <n>", "images in a step instead of the run's training.batchSize", wholeNumber)
    .addOption(new Option("--device <name>", "where the step runs").choices(["cpu", "webgpu"]).default("cpu"))
    .option("--threads <n>", "threads on the processor (default: one per core)", wholeNumber)
    .option("--profile", `take ${profiledSteps} steps on random images and say where the time goes`)
    .option("--top <n>", "rows in each table", wholeNumber, 15)
    .action(async ({ run, batch, device, threads, profile, top }: ExplainOptions) => {
      const config = loadYaml(run, runConfigSchema);
      const explanation = await explainRun({
        ...{ config, device, available: availableMemory(readMemory()), signal },
        ...(batch === undefined ? {} : { batchSize: batch }),
        ...(threads === undefined ? {} : { threads }),
        ...(profile === undefined ? {} : { profileSteps: profiledSteps }),
      });
      new Output({ stdout, stderr, json: command.optsWithGlobals()["json"] === true }).result(explanation, () =>
        explanationLines(explanation, top),
      );
    });
  example(
    command,
    "consilium-agent engine explain --run run.yaml",
    "consilium-agent engine explain --run run.yaml --batch 16 --profile --json",
  );
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 1 to 99999.");
}
