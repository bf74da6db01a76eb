import { z } from "zod";
import { ConsiliumError } from "../errors.js";
import { isVit, type ModelConfig } from "./model-config.js";
import { suggestion } from "./nearest-name.js";

/** Self-supervised methods and their own settings; defaults are the papers'. */

export const methodNames = ["simclr", "byol", "mae", "dino", "ibot", "dinov2", "gmml", "sit", "colorme"] as const;

/** What a run may be for: to train an encoder with one of the methods, or to find clusters of like images. */
export const runMethodNames = [...methodNames, "clusters"] as const;

const probability = z.number().min(0).max(1);
const count = z.number().int().positive();
const share = z.number().gt(0).lt(1);

/** What stands for the image: the class token, or the mean of the patch tokens. A residual network has its own mean. */
const pooling = z.enum(["class", "mean"]).default("mean");

/** The EMA teacher's momentum: half a cosine over the run. Half-life in steps: ln 2 / (1 − m). */
const ema = {
  momentum: z.number().min(0).max(1).default(0.996),
  finalMomentum: z.number().min(0).max(1).default(1),
};

/** Chen et al. 2020. */
const simclr = z.strictObject({
  name: z.literal("simclr"),
  temperature: z.number().positive().default(0.5),
  /** Width of the projection that the loss compares. */
  projectionDim: count.default(128),
  pooling,
});

/** Grill et al. 2020. */
const byol = z.strictObject({
  name: z.literal("byol"),
  ...ema,
  hiddenDim: count.default(4096),
  projectionDim: count.default(256),
  /** Between the layers of projector and predictor: over the batch, as in the paper, or over each image's values. */
  headNorm: z.enum(["batch", "layer"]).default("batch"),
  pooling,
});

/** He et al. 2022. */
const mae = z.strictObject({
  name: z.literal("mae"),
  /** Share of patches that the encoder does not see. */
  maskRatio: share.default(0.75),
  decoderWidth: count.default(512),
  decoderBlocks: count.default(8),
  decoderHeads: count.default(16),
  /** Targets standardised per patch. */
  normalizePixels: z.boolean().default(true),
});

const head = {
  hiddenDim: count.default(2048),
  bottleneckDim: count.default(256),
};

const distillation = {
  ...ema,
  ...head,
  studentTemperature: z.number().positive().default(0.1),
  /** Of the teacher's class token, at the start; it rises linearly to the final one. */
  teacherTemperature: z.number().positive().default(0.04),
  finalTeacherTemperature: z.number().positive().optional(),
  /** Share of all steps over which temperatures rise. */
  temperatureWarmupShare: z.number().min(0).max(1).default(0.3),
  centreMomentum: z.number().min(0).max(1).default(0.9),
  /** Side of the small crops, in pixels; a multiple of the patch size. */
  localSize: count.default(96),
  /** Share of all steps over which the last layer of the heads stays as it is. */
  freezeLastLayerShare: z.number().min(0).max(1).default(0.01),
};

/** Caron et al. 2021. */
const dino = z.strictObject({
  name: z.literal("dino"),
  /** Prototypes, K. */
  outputDim: count.default(65_536),
  ...distillation,
  localCrops: z.number().int().min(0).max(32).default(8),
  /** Prototypes of length one. Otherwise their lengths are trained. */
  normalizeLastLayer: z.boolean().default(true),
});

const maskedDistillation = {
  patchTeacherTemperature: z.number().positive().default(0.04),
  finalPatchTeacherTemperature: z.number().positive().default(0.07),
  /** Of the global crops that are masked at all. */
  maskProbability: probability.default(0.5),
  /** Share of the patches that are hidden in these, [least, most]. */
  maskRatio: z.tuple([probability, probability]).default([0.1, 0.5]),
};

/** Zhou et al. 2022. */
const ibot = z.strictObject({
  name: z.literal("ibot"),
  outputDim: count.default(8192),
  ...distillation,
  ...maskedDistillation,
  localCrops: z.number().int().min(0).max(32).default(0),
  normalizeLastLayer: z.boolean().default(true),
  /** Hidden patches in rectangular blocks, or each drawn by itself. */
  maskShape: z.enum(["block", "random"]).default("block"),
});

/** Oquab et al. 2023: DINO, iBOT and KoLeo together. */
const dinov2 = z.strictObject({
  name: z.literal("dinov2"),
  outputDim: count.default(65_536),
  ...distillation,
  momentum: z.number().min(0).max(1).default(0.992),
  finalTeacherTemperature: z.number().positive().default(0.07),
  ...maskedDistillation,
  localCrops: z.number().int().min(0).max(32).default(8),
  /** One head for class token and patches, or one for each. */
  sharedHead: z.boolean().default(true),
  /** How the teacher's outputs are kept from collapsing: by a moving centre, or by balancing over the batch. */
  teacherNormalization: z.enum(["centering", "sinkhorn-knopp"]).default("centering"),
  koleoWeight: z.number().min(0).default(0.1),
  patchLossWeight: z.number().min(0).default(1),
});

const corruption = {
  /** Top-left corners and sides of corrupted blocks are multiples of this, in pixels. */
  align: count.default(1),
  /** Largest side of a block, as a share of the image's side. */
  maxBlockShare: z.number().gt(0).max(1).default(0.3),
};

/** What a corrupted block is filled with; chosen once for each image. */
const fills = z.array(z.enum(["noise", "zeros", "copy"])).min(1);

/** Atito et al. 2021; on chest radiographs SPCXR. */
const gmml = z.strictObject({
  name: z.literal("gmml"),
  /** Largest share of the image that is corrupted; the share is drawn between half of the image and this. */
  dropShare: share.default(0.75),
  ...corruption,
  fills: fills.default(["noise"]),
  /** Share of the image that is replaced from another image of the batch, where an image's turn is for that; 0: never. */
  alienShare: z.number().min(0).lt(1).default(0.3),
});

/** Atito et al. 2021: GMML with a contrastive class token. */
const sit = z.strictObject({
  name: z.literal("sit"),
  ...ema,
  dropShare: share.default(0.5),
  ...corruption,
  fills: fills.default(["zeros"]),
  alienShare: z.number().min(0).lt(1).default(0.3),
  temperature: z.number().positive().default(0.2),
  hiddenDim: count.default(4096),
  projectionDim: count.default(256),
  /** Of the projection's layers, as `byol.headNorm`. */
  headNorm: z.enum(["batch", "layer"]).default("batch"),
  reconstructionWeight: z.number().min(0).default(1),
});

/** Li et al. 2020, as dermatology models use it: colours from the green channel. */
const colorme = z.strictObject({
  name: z.literal("colorme"),
  pixelWeight: z.number().min(0).default(10),
  histogramWeight: z.number().min(0).default(1),
});

/** Lloyd's k-means of images' colour statistics, one pass a round after a first round for their scaling. Trains no model. */
const clusters = z.strictObject({
  name: z.literal("clusters"),
  clusters: z.number().int().min(2).max(1000).default(100),
  /** A cell with fewer images of the whole cohort keeps its centroid. */
  minImages: count.default(20),
  /** Statistics are cut to this many deviations. */
  featureLimit: z.number().min(1).max(100).default(10),
});

/** @param word what a run file has instead */
function unknownMethod(word: unknown): string {
  const known = `use one of ${runMethodNames.join(", ")}`;
  return typeof word === "string" ? `there is no method '${word}'${suggestion(word, runMethodNames)}; ${known}` : known;
}

const trained = [simclr, byol, mae, dino, ibot, dinov2, gmml, sit, colorme] as const;

export const methodSchema = z.discriminatedUnion("name", [...trained, clusters], {
  error: ({ input }) => unknownMethod((input as { name?: unknown } | undefined)?.name),
});

export type MethodConfig = z.output<typeof methodSchema>;
export type MethodName = (typeof methodNames)[number];
export type RunMethodName = (typeof runMethodNames)[number];
export type MethodOf<Name extends RunMethodName> = Extract<MethodConfig, { name: Name }>;

/** Whether a run has a model at all: one of clusters has statistics in its place. */
export function trainsModel({ name }: Pick<MethodConfig, "name">): boolean {
  return name !== "clusters";
}

/** What a run's model is called. */
export function architectureName({
  model,
  method,
}: {
  readonly model: ModelConfig;
  readonly method: MethodConfig;
}): string {
  return trainsModel(method) ? model.architecture : "none";
}

/** What whoever wants a step or an encoder of a run of clusters is told. */
export function noModel(): ConsiliumError {
  return new ConsiliumError("input-unsupported", "a run of clusters trains no model: there is no step and no encoder", {
    remedy: "choose a run of another method, or use the clusters.json that `consilium run export` writes",
  });
}

/** Methods that a residual network can be trained with; the others mask or read single patches. */
const forResnets: ReadonlySet<RunMethodName> = new Set<RunMethodName>(["simclr", "byol", "colorme"]);

export function needsVit(method: Pick<MethodConfig, "name">): boolean {
  return !forResnets.has(method.name);
}

/** Methods whose teacher, not their student, is the encoder that a run is for. */
export function teacherIsEncoder({ name }: Pick<MethodConfig, "name">): boolean {
  return name === "dino" || name === "ibot" || name === "dinov2";
}

/**
 * Which tokens of a ViT stand for the image when the encoder is used: those that the method trains.
 * @throws ConsiliumError "input-unsupported" for a run without an encoder
 */
export function poolingOf(method: MethodConfig): "class" | "mean" {
  switch (method.name) {
    case "simclr":
    case "byol":
      return method.pooling;
    case "mae":
    case "gmml":
    case "colorme":
      return "mean";
    case "clusters":
      throw noModel();
    default:
      return "class";
  }
}

/** Whether the loss is a mean over images, so that a batch may be cut into micro-batches. Batch norm couples images. */
export function isSeparable({
  model,
  method,
}: {
  readonly model: ModelConfig;
  readonly method: MethodConfig;
}): boolean {
  if (!isVit(model)) return false;
  switch (method.name) {
    case "mae":
    case "dino":
    case "ibot":
    case "colorme":
    case "clusters":
      return true;
    case "byol":
      return method.headNorm === "layer";
    default:
      return false;
  }
}

/** Fewest images in a batch with which a method's loss means something. */
export function smallestBatch(config: { readonly model: ModelConfig; readonly method: MethodConfig }): number {
  return isSeparable(config) ? 1 : 2;
}

/** How many of an image's patches MAE's encoder sees. */
export function visiblePatches(patches: number, maskRatio: number): number {
  // The small term keeps a product such as 10 × (1 - 0.9) from falling below the whole number that is meant.
  return Math.floor(patches * (1 - maskRatio) + 1e-9);
}
