import type { TrainJob } from "./protocol.js";

/** The smallest run that is private by patient. */
export const privateRun: TrainJob["config"] = {
  name: "tiny",
  modality: "dermatology",
  model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
  method: { name: "mae", decoderWidth: 16, decoderBlocks: 1, decoderHeads: 2 },
  optimizer: { name: "sgd", learningRate: 0.5, momentum: 0, warmupShare: 0 },
  training: { batchSize: 4, stepsPerRound: 3 },
  rounds: 5,
  monitor: { collapse: "off" },
  privacy: { mode: "patient", clip: 1, noiseMultiplier: 1, delta: 1e-5, leastPatients: 6 },
};
