import { z } from "zod";

/** A run as a researcher writes it. Unknown keys are errors; every default is written here and nowhere else. */

const identifier = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "use lower-case letters, digits and hyphens, at most 63");

const probability = z.number().min(0).max(1);
const count = z.number().int().positive();

export const siteIdSchema = identifier;

const model = z.strictObject({
  architecture: z.enum(["vit-nano", "vit-tiny", "vit-small", "vit-base"]),
  /** Side of the square input, in pixels. */
  imageSize: count.default(224),
  /** Side of a patch, in pixels. */
  patchSize: count.default(16),
});

const simclr = z.strictObject({
  name: z.literal("simclr"),
  temperature: z.number().positive().default(0.5),
  /** Width of the projection that the loss compares. */
  projectionDim: count.default(128),
  /** What stands for the image: the class token, or the mean of the patch tokens. */
  pooling: z.enum(["class", "mean"]).default("mean"),
});

const mae = z.strictObject({
  name: z.literal("mae"),
  /** Share of patches that the encoder does not see. */
  maskRatio: z.number().gt(0).lt(1).default(0.75),
  decoderWidth: count.default(512),
  decoderBlocks: count.default(8),
  decoderHeads: count.default(16),
  /** Targets standardised per patch. */
  normalizePixels: z.boolean().default(true),
});

const augmentation = z.strictObject({
  /** Share of the image's area that a crop may take, [least, most]. */
  cropScale: z.tuple([z.number().gt(0).max(1), z.number().gt(0).max(1)]).optional(),
  horizontalFlip: probability.optional(),
  verticalFlip: probability.optional(),
  /** Probability of turning by a multiple of 90 degrees, drawn uniformly among the four. */
  quarterTurns: probability.optional(),
  jitter: z
    .strictObject({
      brightness: z.number().min(0),
      contrast: z.number().min(0),
      saturation: z.number().min(0),
      hue: z.number().min(0).max(0.5),
      probability,
    })
    .optional(),
  grayscale: probability.optional(),
  /** Probability of a Gaussian blur with a standard deviation drawn from [0.1, 2] pixels of a 224-pixel image. */
  blur: probability.optional(),
});

const rates = {
  /** Learning rate at the end of the warm-up. */
  learningRate: z.number().min(0),
  finalLearningRate: z.number().min(0).default(0),
  finalWeightDecay: z.number().min(0).optional(),
  /** Share of all steps over which the learning rate rises linearly from zero. */
  warmupShare: z.number().min(0).max(0.5).default(0.1),
  /** Largest L2 norm of a gradient; absent: no clipping. */
  gradientClip: z.number().positive().optional(),
  /** What has a norm of its own: each tensor; the backbone and each head; or all together. */
  clipping: z.enum(["tensor", "sub-network", "global"]).default("tensor"),
};

const adamw = z.strictObject({
  name: z.literal("adamw").default("adamw"),
  ...rates,
  weightDecay: z.number().min(0).default(0.05),
  beta1: z.number().gte(0).lt(1).default(0.9),
  beta2: z.number().gte(0).lt(1).default(0.999),
});

/** You, Gitman and Ginsburg 2017. */
const lars = z.strictObject({
  name: z.literal("lars"),
  ...rates,
  weightDecay: z.number().min(0).default(1.5e-6),
  momentum: z.number().gte(0).lt(1).default(0.9),
  /** η: how far a step of rate one moves a tensor, as a share of its norm. */
  trustCoefficient: z.number().positive().default(0.001),
});

const optimizer = z.discriminatedUnion("name", [adamw, lars], { error: "use adamw (the default) or lars" });

const training = z.strictObject({
  batchSize: count.default(64),
  /**
   * Equal parts of a batch that go through the model one after the other: less memory, the same gradients. Absent: what
   * suits each site's device.
   */
  microBatches: count.optional(),
  /** Run transformer blocks again in the backward pass instead of keeping what they computed: less memory, more time. */
  recompute: z.boolean().default(false),
  /** Local steps that every site takes in a round. */
  stepsPerRound: count.default(50),
});

const cohort = z.strictObject({
  /** Fewest sites in a sum; a round waits until that many take part. Masking needs at least three to begin. */
  minSites: z.number().int().min(2).default(3),
  maxSites: z.number().int().min(3).max(128).default(128),
  /** Colluding sites that masking must withstand, besides the coordinator. */
  colluders: z.number().int().min(0).default(0),
  /** Only these sites; absent: every enrolled site. */
  sites: z.array(identifier).optional(),
});

const deadlines = z.strictObject({
  trainingSeconds: z
    .number()
    .positive()
    .default(4 * 3600),
  /** For each masking stage after training. */
  stageSeconds: z.number().positive().default(300),
});

const aggregation = z.strictObject({
  serverOptimizer: z.enum(["fedavg"]).default("fedavg"),
  /** A site's weight is its number of images, at most this. */
  weightCap: z.number().int().positive().max(1_000_000).default(100_000),
  /** Largest L2 norm of a site's delta. */
  l2Clip: z.number().positive().default(1000),
});

export const runConfigSchema = z
  .strictObject({
    name: identifier,
    seed: z
      .number()
      .int()
      .min(0)
      .max(2 ** 31 - 1)
      .default(1),
    /** Decides which flips and turns keep an image plausible. */
    modality: z.enum(["dermatology", "radiograph", "pathology"]),
    model,
    method: z.discriminatedUnion("name", [simclr, mae]),
    augmentation: augmentation.prefault({}),
    optimizer,
    training: training.prefault({}),
    rounds: count,
    cohort: cohort.prefault({}),
    deadlines: deadlines.prefault({}),
    aggregation: aggregation.prefault({}),
  })
  .superRefine((config, context) => {
    const { imageSize, patchSize } = config.model;
    if (imageSize % patchSize !== 0) {
      context.addIssue({
        code: "custom",
        path: ["model", "patchSize"],
        message: `imageSize ${imageSize} is not a multiple of patchSize ${patchSize}`,
      });
    }
    const { batchSize, microBatches = 1 } = config.training;
    const refuseMicroBatches = (message: string): void =>
      context.addIssue({ code: "custom", path: ["training", "microBatches"], message });
    if (batchSize % microBatches !== 0) refuseMicroBatches(`does not divide batchSize ${batchSize}`);
    if (microBatches > 1 && !isSeparable(config.method)) {
      refuseMicroBatches(`must be 1: ${config.method.name} compares the images of a batch with each other`);
    }
    if (config.cohort.minSites < config.cohort.colluders + 2) {
      context.addIssue({
        code: "custom",
        path: ["cohort", "minSites"],
        message: `must be at least colluders + 2 = ${config.cohort.colluders + 2}, so that two honest sites hide in each other`,
      });
    }
    if (config.cohort.minSites > config.cohort.maxSites) {
      context.addIssue({ code: "custom", path: ["cohort", "maxSites"], message: "is less than minSites" });
    }
  });

export type RunConfig = z.output<typeof runConfigSchema>;
export type ModelConfig = RunConfig["model"];
export type MethodConfig = RunConfig["method"];
export type OptimizerConfig = RunConfig["optimizer"];
export type AugmentationConfig = RunConfig["augmentation"];
export type Modality = RunConfig["modality"];

/** Which tokens stand for the image when the encoder is used. Masked modelling never trains the class token. */
export function poolingOf(method: MethodConfig): "class" | "mean" {
  return method.name === "mae" ? "mean" : method.pooling;
}

/** Whether the loss is a mean over images, so that a batch may be cut into micro-batches. */
export function isSeparable(method: { readonly name: MethodConfig["name"] }): boolean {
  return method.name === "mae";
}

/** Global steps over the whole run; every schedule is a function of the step among these. */
export function totalSteps(config: RunConfig): number {
  return config.rounds * config.training.stepsPerRound;
}
