import { runConfigSchema, siteIdSchema } from "@consilium/shared/config/run-config.js";
import { z } from "zod";
import { dataSettingsSchema } from "../data/data-settings.js";
import { deviceChoices } from "../engine/devices/device.js";

/** What the agent and its trainer process say to each other. Both sides check every message that they receive. */

const count = z.number().int().nonnegative();
const device = z.enum(deviceChoices);
const runId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "letters, digits, dots, underscores and hyphens");

/** What the step runs on. */
const engineSettingsSchema = z.strictObject({
  device: device.default("auto"),
  precision: z.enum(["auto", "float32", "mixed"]).default("auto"),
  /** Folder for compiled programs; absent: nothing is kept. */
  cacheDirectory: z.string().min(1).optional(),
  /** Where native TensorFlow was installed. */
  tensorflowDirectory: z.string().min(1).optional(),
});

const privateTrainingSchema = z.strictObject({
  /** q: with which each patient of the site is drawn into a step. */
  samplingRate: z.number().gt(0).max(1),
  /** σ */
  noiseMultiplier: z.number().positive(),
  /** Most images of one patient that training may see at all; absent: no limit. */
  mostImagesPerPatient: z.number().int().positive().optional(),
});

export type PrivateTraining = z.output<typeof privateTrainingSchema>;

export const trainJobSchema = z.strictObject({
  runId,
  round: count,
  config: runConfigSchema,
  /** safetensors file of the checkpoint that the round starts from. */
  checkpointPath: z.string().min(1),
  /** The one that was in use before it, where it is still there: the round before may have started from it. */
  earlierCheckpointPath: z.string().min(1).optional(),
  /** Global step of the round's first local step; schedules are functions of it. */
  firstStep: count,
  /** Where the trainer keeps optimiser moments, progress and the delta: one folder per run below it. */
  stateDirectory: z.string().min(1),
  data: dataSettingsSchema,
  /** Threads of the engine inside one step. */
  threads: z.number().int().positive().optional(),
  engine: engineSettingsSchema.prefault({}),
  siteId: siteIdSchema,
  /** In the name of every draw: of a run, from `RunDraws`; a number only where no sum is taken over what is trained. */
  drawSeed: z.union([z.string().regex(/^[0-9a-f]{64}$/), count]),
  /** Least images of a cell whose statistics may be sent; absent: the site's policy lets none travel. */
  minCell: z.number().int().positive().optional(),
  /** What a run that is private by patient was charged for: the trainer does exactly this. */
  privacy: privateTrainingSchema.optional(),
  /** Time between two saves inside a round. */
  saveEveryMs: z.number().positive().default(60_000),
});

/** One round's work. */
export type TrainJob = z.input<typeof trainJobSchema>;
export type CheckedJob = z.output<typeof trainJobSchema>;

const preparedSchema = z.strictObject({
  runId,
  device: device.exclude(["auto"]),
  precision: z.enum(["float32", "mixed"]),
  /** Why this device. */
  reason: z.string(),
  /** Where the compiled step came from; "damaged" is a file that could not be used. */
  cache: z.enum(["hit", "miss", "damaged", "off"]),
  /** Until the step could run. */
  compileMs: z.number().nonnegative(),
  /** Why the compiled step could not be kept for the next time. */
  notKept: z.string().exactOptional(),
});

/** What a run is trained on, said once when it is ready. */
export type Prepared = z.output<typeof preparedSchema>;

const trainProgressSchema = z.strictObject({
  /** `preparing` while images are listed and the step is compiled. */
  phase: z.enum(["preparing", "training", "saving"]),
  /** Local steps done in this round, and how many there are. */
  step: count,
  steps: count,
  /** Of the latest step; absent before the first. */
  loss: z.number().optional(),
  /** The method's terms in the latest step, those that are figures. */
  terms: z.record(z.string(), z.number()).optional(),
  imagesPerSecond: z.number().optional(),
  /** Batches that lay ready when the latest was asked for; 0: training waits for images. */
  batchesReady: count.optional(),
});

export type TrainProgress = z.output<typeof trainProgressSchema>;

const trainedRoundSchema = z.strictObject({
  /** Raw float32, little-endian, in layout order: what the site learned, trained minus checkpoint. */
  deltaPath: z.string().min(1),
  /** SHA-256 of the delta file, hex. */
  deltaDigest: z.string().regex(/^[0-9a-f]{64}$/),
  /** Images of the site that training draws from. */
  sampleCount: count,
  meanLoss: z.number(),
  /** By name: means of the method's terms over the round's steps, and the cosine of the last round's update. */
  figures: z.record(z.string(), z.number()).default({}),
  steps: count,
  imagesPerSecond: z.number().nonnegative(),
  /** Images left out because they could not be read, by reason. */
  skipped: z.record(z.string(), count),
});

export type TrainedRound = z.output<typeof trainedRoundSchema>;

export const failureCode = z.enum([
  "not-enough-data",
  "not-finite",
  "training-failed",
  "kernel-missing",
  "out-of-memory",
  "input-unreadable",
  "input-unsupported",
  "config-invalid",
  "config-missing",
  "storage",
  "internal",
]);

export const toTrainerSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("train"), job: trainJobSchema }),
  z.strictObject({ type: z.literal("abort") }),
]);

export const fromTrainerSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("progress"), progress: trainProgressSchema }),
  z.strictObject({ type: z.literal("prepared"), prepared: preparedSchema }),
  z.strictObject({ type: z.literal("done"), trained: trainedRoundSchema }),
  z.strictObject({ type: z.literal("aborted") }),
  z.strictObject({
    type: z.literal("failed"),
    code: failureCode,
    message: z.string(),
    remedy: z.string().optional(),
  }),
]);

export type ToTrainer = z.input<typeof toTrainerSchema>;
export type FromTrainer = z.output<typeof fromTrainerSchema>;

export interface TrainOptions {
  readonly onProgress?: (progress: TrainProgress) => void;
  readonly signal?: AbortSignal;
}

/** What the round asks for; the agent gives it a process of its own. */
export interface Trainer {
  /**
   * Trains the local steps of one round. Calling it again for a round that was interrupted goes on where the last save was.
   * @throws ConsiliumError "training-failed" when the process ends, "not-enough-data", "not-finite", or what the step threw.
   * @throws AbortedError when the signal fires.
   */
  trainRound(job: TrainJob, options?: TrainOptions): Promise<TrainedRound>;
  stop(): Promise<void>;
}
