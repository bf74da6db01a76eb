import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";

/** What is audited: DP-SGD of a small model, in one round, in steps so short that the model stays almost where it was. */
export interface AuditedRun {
  /** Patients of the site besides the canaries, who always take part and whom the auditor knows. */
  readonly others: number;
  /** Patients each of whom is a member by a fair coin. */
  readonly canaries: number;
  /** q: with which a step draws each patient. */
  readonly samplingRate: number;
  readonly steps: number;
  /** σ that is charged for. */
  readonly noiseMultiplier: number;
  readonly delta: number;
  readonly seed: number;
}

export const imageSize = 16;
/** Below nearly every patient's gradient, so that each is as visible as a patient can be. */
export const clip = 0.1;
export const learningRate = 0.02;

/** Patients that a step draws on average, before it is known who is a member. */
export function batchSizeOf({ others, canaries, samplingRate }: AuditedRun): number {
  return Math.round(samplingRate * (others + canaries / 2));
}

/** Images are taken as they are: the auditor knows every view, but not which patches of it are hidden. */
export function configOf(run: AuditedRun): RunConfig {
  const { noiseMultiplier, delta } = run;
  return runConfigSchema.parse({
    name: "audit",
    seed: run.seed,
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize, patchSize: 8 },
    method: { name: "mae", maskRatio: 0.75, decoderWidth: 16, decoderBlocks: 1, decoderHeads: 2 },
    augmentation: {
      ...{ cropScale: [1, 1], horizontalFlip: 0, verticalFlip: 0, quarterTurns: 0, grayscale: 0, blur: 0 },
      jitter: { brightness: 0, contrast: 0, saturation: 0, hue: 0, probability: 0 },
    },
    optimizer: { name: "sgd", learningRate, finalLearningRate: learningRate, momentum: 0, warmupShare: 0 },
    training: { batchSize: batchSizeOf(run), stepsPerRound: run.steps },
    rounds: 1,
    monitor: { collapse: "off" },
    privacy: { mode: "patient", clip, noiseMultiplier, delta, leastPatients: run.others + (run.canaries >> 1) },
  });
}
