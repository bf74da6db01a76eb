import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { readSafetensors, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { z } from "zod";
import { replaceFile, storageError } from "../durable-file.js";
import { initialLossScale } from "../engine/loss-scale.js";
import { type StateShape, stateVectors, type TrainingState } from "../engine/training-state.js";

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
  /** Of the method's terms over the round's steps; absent in what an older version saved. */
  terms: z.record(z.string(), z.strictObject({ sum: z.number(), steps: z.number().int().positive() })).default({}),
  /** Of the update of the round before, to what the cohort made of it. */
  cosine: z.number().exactOptional(),
  trainedMs: z.number().nonnegative(),
  /** What the run's strategy remembers between rounds. */
  strategy: z.strictObject({ lambda: z.number().nonnegative().optional() }).default({}),
});

export type StateNumbers = z.output<typeof numbersSchema>;

const storedSchema = numbersSchema.extend({
  optimizerStep: z.number().int().nonnegative(),
  lossScale: z.strictObject({ scale: z.number().positive(), finiteSteps: z.number().int().nonnegative() }).optional(),
});

export interface LocalState {
  readonly numbers: StateNumbers;
  /** After `step` steps of the round. */
  readonly training: TrainingState;
}

const format = "consilium-local-state-2";

/** Names of the file's vectors; format 1 had AdamW's moments under their own names and nothing carried. */
const tensorNames = {
  "consilium-local-state-1": { slot: (name: string) => name, carried: (name: string) => name },
  [format]: { slot: (name: string) => `slot/${name}`, carried: (name: string) => `carried/${name}` },
};

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
  const { parameters, slots, carried, ...progress } = training;
  const names = tensorNames[format];
  const vectors: [string, Float32Array][] = [
    ["parameters", parameters],
    ...renamed(slots, names.slot),
    ...renamed(carried, names.carried),
  ];
  const tensors = vectors.map(([name, data]) => ({ name, shape: [data.length], data }));
  const stored = storedSchema.parse({ ...numbers, ...progress });
  await replaceFile(statePath(directory), (path) =>
    writeSafetensors(path, tensors, { format, numbers: JSON.stringify(stored) }),
  );
}

function renamed<T>(vectors: Readonly<Record<string, T>>, rename: (name: string) => string): [string, T][] {
  return Object.entries(vectors).map(([name, vector]) => [rename(name), vector]);
}

/** @returns undefined when there is none, or none that fits: training then starts with moments of zero */
export async function loadState(directory: string, shape: StateShape): Promise<LocalState | undefined> {
  try {
    const { tensors, metadata } = await readSafetensors(statePath(directory));
    const stored = storedSchema.safeParse(JSON.parse(metadata["numbers"] ?? "null"));
    const names = Object.entries(tensorNames).find(([known]) => known === metadata["format"])?.[1];
    if (!stored.success || names === undefined) return undefined;
    const { optimizerStep, lossScale, ...numbers } = stored.data;
    if (numbers.layoutDigest !== digestText(shape.layout)) return undefined;
    const found = (name: string, length: number): Float32Array => {
      const data = tensors.get(name)?.data;
      if (data?.length !== length)
        throw new ConsiliumError("input-unreadable", `the saved state has no vector ${name}`);
      return data;
    };
    const { slots, carried } = stateVectors(shape);
    const training: TrainingState = {
      parameters: found("parameters", shape.layout.dimension),
      slots: Object.fromEntries(slots.map(([name, length]) => [name, found(names.slot(name), length)])),
      carried: Object.fromEntries(carried.map(([name, length]) => [name, found(names.carried(name), length)])),
      optimizerStep,
      // The precision may have changed since.
      ...(shape.lossScaling ? { lossScale: lossScale ?? initialLossScale() } : {}),
    };
    return { numbers, training };
  } catch (thrown) {
    if (thrown instanceof ConsiliumError || thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

export function digestText(layout: ParameterLayout): string {
  return Buffer.from(layout.digest).toString("hex");
}
