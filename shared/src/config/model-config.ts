import { z } from "zod";

/** The encoder of a run: a vision transformer or a residual network. */

const count = z.number().int().positive();

/** Side of the square input, in pixels. */
const imageSize = count.default(224);

export const vitNames = ["vit-nano", "vit-tiny", "vit-small", "vit-base", "vit-large"] as const;
export const resnetNames = ["resnet18", "resnet50"] as const;

const vit = z.strictObject({
  architecture: z.enum(vitNames),
  imageSize,
  /** Side of a patch, in pixels. */
  patchSize: count.default(16),
  /** First value of LayerScale (Touvron et al. 2021), as DINOv2's models have it; absent: none. */
  layerScale: z.number().positive().optional(),
  /** Register tokens (Darcet et al. 2024) between the class token and the patches; absent: none. */
  registers: z.number().int().min(0).max(16).optional(),
  /** Highest probability that a residual branch of the student is left out for an image (Huang et al. 2016); absent: 0. */
  dropPath: z.number().min(0).max(0.9).optional(),
  /**
   * Whether that probability rises from zero over the depth, as DINO has it and as it is when absent, or is the same
   * everywhere, as DINOv2 has it.
   */
  dropPathRule: z.enum(["linear", "uniform"]).optional(),
});

const resnet = z.strictObject({ architecture: z.enum(resnetNames), imageSize });

export const modelSchema = z.discriminatedUnion("architecture", [vit, resnet], {
  error: `use one of ${[...vitNames, ...resnetNames].join(", ")}`,
});

export type ModelConfig = z.output<typeof modelSchema>;
export type VitConfig = z.output<typeof vit>;
export type ResnetConfig = z.output<typeof resnet>;

export function isVit(model: ModelConfig): model is VitConfig {
  return "patchSize" in model;
}
