import type { MethodName } from "@consilium/shared/config/method-config.js";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { smallSettings } from "../../deploy/demo/method-settings.js";

/** One small scale for all methods: 48 pixels, patches of 8, a width of 96, four blocks. */

export const imageSize = 48;

/** A run of one round, in which all steps are taken, so that schedules end with it. */
export function settingOf(name: MethodName, choice: { seed: number; steps: number; modality: string }): RunConfig {
  const { method, augmentation = {}, optimizer = {}, batchSize = 128 } = smallSettings[name];
  return runConfigSchema.parse({
    name: `experiment-${name}`,
    seed: choice.seed,
    modality: choice.modality,
    model: { architecture: "vit-nano", imageSize, patchSize: 8 },
    method: { name, ...method },
    augmentation,
    optimizer: { learningRate: 1e-3, finalLearningRate: 1e-5, weightDecay: 0.05, gradientClip: 3, ...optimizer },
    training: { batchSize, stepsPerRound: choice.steps },
    rounds: 1,
  });
}
