import type { MethodName } from "@consilium/shared/config/method-config.js";

/** Settings of each method at one small scale, the demo's and the experiments': 48 pixels, patches of 8, a width of 96. */

/** Half the strength of the SimCLR paper, from which a small model on small images learns within minutes; docs/results.md. */
const halfStrength = {
  cropScale: [0.2, 1],
  jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, probability: 0.8 },
  grayscale: 0.1,
};
/**
 * Self-distillation starts from class tokens that differ in little but colour and brightness. Where augmentation takes
 * these away, nothing is left that two crops agree on, and the teacher becomes uniform within some thirty steps; so the
 * colours are changed less, the crops are larger, the teacher is sharper, and the rate rises slowly.
 */
const crops = {
  cropScale: [0.5, 1],
  localCropScale: [0.2, 0.5],
  jitter: { brightness: 0.2, contrast: 0.2, saturation: 0.1, hue: 0.05, probability: 0.8 },
  grayscale: 0,
};
const head = { outputDim: 256, hiddenDim: 512, bottleneckDim: 64, localCrops: 2, localSize: 24 };
const teacher = { momentum: 0.99, centreMomentum: 0.9, teacherTemperature: 0.02, freezeLastLayerShare: 0.02 };
const patches = { patchTeacherTemperature: 0.02, finalPatchTeacherTemperature: 0.04 };
const slowStart = { learningRate: 5e-4, warmupShare: 0.3 };
const distilled = { augmentation: crops, optimizer: slowStart, batchSize: 64 };

/** What a run file says beside what all methods share. */
export interface MethodSetting {
  readonly method: object;
  readonly augmentation?: object;
  readonly optimizer?: { readonly learningRate?: number; readonly warmupShare?: number };
  readonly batchSize?: number;
}

export const smallSettings: Readonly<Record<MethodName, MethodSetting>> = {
  simclr: { method: { temperature: 0.2 }, augmentation: halfStrength, optimizer: { learningRate: 3e-3 } },
  byol: {
    method: { hiddenDim: 512, projectionDim: 128, momentum: 0.98 },
    augmentation: { ...halfStrength, blur: 0, solarize: 0 },
  },
  mae: { method: { decoderWidth: 96, decoderBlocks: 2, decoderHeads: 3 } },
  dino: { method: { ...head, ...teacher }, ...distilled },
  ibot: { method: { ...head, ...teacher, ...patches }, ...distilled },
  dinov2: { method: { ...head, ...teacher, ...patches, finalTeacherTemperature: 0.02 }, ...distilled },
  gmml: { method: { align: 8, dropShare: 0.6 } },
  sit: { method: { align: 8, hiddenDim: 512, projectionDim: 128, momentum: 0.99 }, augmentation: halfStrength },
  colorme: { method: {} },
};
