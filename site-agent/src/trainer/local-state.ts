import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { readSafetensors, type SafetensorsFile, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { z } from "zod";
import type { TrainingState } from "../engine/training-state.js";
import { replaceFile, storageError } from "./durable-file.js";

/** What a site keeps for itself between the rounds of a run, and inside one: never part of what it sends. */

const numbersSchema = z.strictObject({
  round: z.number().int().nonnegative(),
  /** Digest of the vector that the round started from. */
  checkpointDigest: z.string(),
  layoutDigest: z.string(),
  /** Local steps done in the round. */
  step: z.number().int().nonnegative(),
  /** The learning rate rises over the first steps after the moments were lost. */
  rampsUp: z.boolean(),
  /** Number of the site's next batch over the whole run. */
  nextBatch: z.number().int().nonnegative(),
  /** Over the round's steps whose loss was finite. */
  lossSum: z.number(),
  finiteSteps: z.number().int().nonnegative(),
  trainedMs: z.number().nonnegative(),
});

export type StateNumbers = z.output<typeof numbersSchema>;

const storedSchema = numbersSchema.extend({ optimizerStep: z.number().int().nonnegative() });

export interface LocalState {
  readonly numbers: StateNumbers;
  /** After `step` steps of the round. */
  readonly training: TrainingState;
}

const format = "consilium-local-state-1";
const vectorNames = ["parameters", "moment1", "moment2"] as const;

/** Folder of a run below the trainer's state directory; made when it is missing. */
export async function runDirectory(stateDirectory: string, runId: string): Promise<string> {
  const path = join(stateDirectory, runId);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    // What a killed trainer was writing.
    for (const name of await readdir(path)) if (name.endsWith(".tmp")) await rm(join(path, name), { force: true });
  } catch (cause) {
    throw storageError(path, cause);
  }
  return path;
}

function statePath(directory: string): string {
  return join(directory, "state.safetensors");
}

/** @throws ConsiliumError "storage" */
export async function saveState(directory: string, { numbers, training }: LocalState): Promise<void> {
  const tensors = vectorNames.map((name) => ({ name, shape: [training[name].length], data: training[name] }));
  const stored = storedSchema.parse({ ...numbers, optimizerStep: training.optimizerStep });
  await replaceFile(statePath(directory), (path) =>
    writeSafetensors(path, tensors, { format, numbers: JSON.stringify(stored) }),
  );
}

/** @returns undefined when there is none, or none that fits: training then starts with moments of zero */
export async function loadState(directory: string, layout: ParameterLayout): Promise<LocalState | undefined> {
  try {
    const { tensors, metadata } = await readSafetensors(statePath(directory));
    const stored = storedSchema.safeParse(JSON.parse(metadata["numbers"] ?? "null"));
    if (!stored.success || metadata["format"] !== format) return undefined;
    const { optimizerStep, ...numbers } = stored.data;
    const [parameters, moment1, moment2] = vectorNames.map((name) => vectorFrom(tensors, name, layout));
    const fits = numbers.layoutDigest === digestText(layout);
    if (!fits || parameters === undefined || moment1 === undefined || moment2 === undefined) return undefined;
    return { numbers, training: { parameters, moment1, moment2, optimizerStep } };
  } catch (thrown) {
    if (thrown instanceof ConsiliumError || thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

function vectorFrom(
  tensors: SafetensorsFile["tensors"],
  name: string,
  { dimension }: ParameterLayout,
): Float32Array | undefined {
  const data = tensors.get(name)?.data;
  return data?.length === dimension ? data : undefined;
}

export function digestText(layout: ParameterLayout): string {
  return Buffer.from(layout.digest).toString("hex");
}
