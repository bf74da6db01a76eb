import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type MethodName, methodNames } from "@consilium/shared/config/method-config.js";
import { type DeviceChoice, deviceChoices } from "@consilium/site-agent/engine/devices/device.js";
import { type DatasetName, datasetNames } from "./datasets.js";

/** What `npm run experiment -- methods …` takes. */
export interface ExperimentOptions {
  readonly dataset: DatasetName;
  readonly root: string;
  readonly methods: readonly MethodName[];
  /** Training time of each run, from which its number of steps follows. */
  readonly minutes: number;
  /** The number of steps itself; absent: what fits into the minutes. */
  readonly steps: number | undefined;
  readonly seeds: readonly number[];
  readonly threads: number;
  readonly device: DeviceChoice;
  readonly floors: boolean;
  readonly json: boolean;
  readonly out: string | undefined;
}

export const usage = `npm run experiment -- methods [options]

Trains each method on the pooled training images in one process, without a federation, and measures its encoder before
and after: kNN, linear probe and fine-tuning, balanced accuracy on the test split.

  --data derm|pcam   which images: HAM10000 or PatchCamelyon           (derm)
  --data-root DIR    folder that holds derm/ham10000 and slides/pcam96 (../shared/data)
  --methods a,b      which methods                                     (all)
  --minutes N        training time of each run                         (15)
  --steps N          exactly so many steps instead, to repeat a run
  --seeds 1,2        one run for each                                  (1)
  --threads N        processor threads of a training step              (2)
  --device NAME      what steps run on: cpu, webgpu, ... as trainer.device of a site (cpu)
  --no-floors        leave out raw pixels and colour histogram
  --json             a line of JSON for each floor and run
  --out FILE         append these lines to a file`;

const flags = {
  data: { type: "string", default: "derm" },
  "data-root": { type: "string" },
  methods: { type: "string", default: methodNames.join(",") },
  minutes: { type: "string", default: "15" },
  steps: { type: "string" },
  seeds: { type: "string", default: "1" },
  threads: { type: "string", default: "2" },
  device: { type: "string", default: "cpu" },
  "no-floors": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  out: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

const ownRoot = fileURLToPath(new URL("../../../shared/data", import.meta.url));

/**
 * @returns the options, or undefined when only the usage was asked for
 * @throws Error that names the option
 */
export function parseOptions(args: readonly string[]): ExperimentOptions | undefined {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: flags, strict: true });
  if (values.help || positionals.length === 0) return undefined;
  if (positionals.length > 1 || positionals[0] !== "methods") {
    throw new Error(`${positionals.join(" ")}: the only experiment is 'methods'`);
  }
  return {
    dataset: oneOf("data", values.data, datasetNames),
    root: values["data-root"] ?? ownRoot,
    methods: values.methods.split(",").map((name) => oneOf("methods", name, methodNames)),
    minutes: positive("minutes", values.minutes),
    steps: values.steps === undefined ? undefined : wholeNumber("steps", values.steps, 1),
    seeds: values.seeds.split(",").map((seed) => wholeNumber("seeds", seed, 0)),
    threads: wholeNumber("threads", values.threads, 1),
    device: oneOf("device", values.device, deviceChoices),
    floors: !values["no-floors"],
    json: values.json,
    out: values.out,
  };
}

function oneOf<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const known = names.find((name) => name === text);
  if (known === undefined) throw new Error(`--${option} ${text}: use ${names.join(", ")}`);
  return known;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`--${option} ${text}: not a positive number`);
  return value;
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${option} ${text}: not a whole number from ${least}`);
  return value;
}
