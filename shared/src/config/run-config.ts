import { z } from "zod";
import { checkClusterRun, withoutTraining } from "./cluster-run.js";
import { isSeparable, methodSchema, needsVit, smallestBatch, visiblePatches } from "./method-config.js";
import { isVit, modelSchema } from "./model-config.js";
import { checkPrivacy, privacySchema } from "./privacy-config.js";

export type { MethodConfig } from "./method-config.js";
export { architectureName, isSeparable, poolingOf } from "./method-config.js";
export type { ModelConfig } from "./model-config.js";
export type { PatientPrivacy, PrivacyConfig, PrivacyMode, SitePrivacy } from "./privacy-config.js";

/** A run as a researcher writes it. Unknown keys are errors; every default is written here and nowhere else. */

const identifier = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "use lower-case letters, digits and hyphens, at most 63");

const probability = z.number().min(0).max(1);
const count = z.number().int().positive();

export const siteIdSchema = identifier;

const cropShare = z.tuple([z.number().gt(0).max(1), z.number().gt(0).max(1)]);

/** Means of L*, a* and b*, then their deviations: how the images of one scanner or laboratory look. */
const colourProfile = z.tuple([
  z.number().min(0).max(100),
  z.number().min(-128).max(128),
  z.number().min(-128).max(128),
  z.number().min(0).max(100),
  z.number().min(0).max(128),
  z.number().min(0).max(128),
]);

/** Variation between scanners and laboratories, of stained tissue. */
const stain = z.strictObject({
  /** Probability that a view takes the colours of one of the profiles (Reinhard et al. 2001). */
  reinhard: probability.default(0),
  /** Profiles that sites have shared; `consilium-agent curate profiles` prints a site's own. */
  profiles: z.array(colourProfile).max(10_000).default([]),
  /** How much the amounts of haematoxylin, eosin and DAB vary (Tellez et al. 2018): 0.05 lightly, 0.2 strongly. */
  hed: z.number().min(0).max(0.5).default(0),
});

/** Variation between X-ray devices. Brighter stays brighter, and left stays left. */
const radiograph = z.strictObject({
  /** How far the width of the window of grey levels varies, and twice its level, as a share of the width. */
  window: z.number().min(0).max(0.9).default(0),
  /** The exponent of the curve of grey levels lies between 1 / (1 + gamma) and 1 + gamma. */
  gamma: z.number().min(0).max(4).default(0),
});

const augmentation = z.strictObject({
  /** Share of the image's area that a crop may take, [least, most]. */
  cropScale: cropShare.optional(),
  /** The same of small crops, for methods that have them. */
  localCropScale: cropShare.optional(),
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
  /** Probability that a view's bright pixels are inverted; replaces the method's own for its second view only. */
  solarize: probability.optional(),
  /**
   * How DINOv2's blur probabilities are meant: its released code blurs with one minus the probability that is named.
   * Only for `dinov2`.
   */
  blurProbability: z.enum(["as-run", "as-named"]).optional(),
  /** For pathology. */
  stain: stain.optional(),
  /** For radiographs. */
  radiograph: radiograph.optional(),
  /** Makes the light grey (Finlayson and Trezzi 2004); whoever uses the encoder has to do the same. For colour images. */
  colourConstancy: z.boolean().optional(),
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
  /** Factor on the learning rate per layer from the head down to the patches (DINOv2: 0.9); 1: the same everywhere. */
  layerDecay: z.number().gt(0).max(1).default(1),
  /** Further factor on the learning rate of the patch embedding (DINOv2: 0.2). */
  patchEmbeddingRate: z.number().min(0).max(1).default(1),
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

const sgd = z.strictObject({
  name: z.literal("sgd"),
  ...rates,
  weightDecay: z.number().min(0).default(0),
  momentum: z.number().gte(0).lt(1).default(0.9),
});

const optimizer = z.discriminatedUnion("name", [adamw, lars, sgd], {
  error: ({ input }) => (input === undefined ? undefined : "use adamw (the default), lars or sgd"),
});

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

/** What a site does, beyond training, so that sites with unlike images agree on one model. */
const strategy = z.discriminatedUnion("name", [
  /** McMahan et al. 2017. */
  z.strictObject({ name: z.literal("fedavg") }),
  /** Li et al. 2020: a pull of this strength towards the round's checkpoint. */
  z.strictObject({ name: z.literal("fedprox"), mu: z.number().positive().default(0.01) }),
  /** Zhuang et al. 2022: a site goes on from a mixture of its own and the federation's weights. */
  z.strictObject({ name: z.literal("fedema"), tau: z.number().positive().max(1).default(0.7) }),
  /** Zhuang et al. 2021: a site keeps its own predictor when its encoder moved further than this from the federation's. */
  z.strictObject({ name: z.literal("fedu"), threshold: z.number().positive().default(0.4) }),
  /** Rehman et al. 2023: each tensor counts by its cosine with the federation's; sites count alike. */
  z.strictObject({ name: z.literal("l-dawa") }),
]);

const aggregation = z.strictObject({
  serverOptimizer: z.enum(["fedavg"]).default("fedavg"),
  strategy: strategy.default({ name: "fedavg" }),
  /**
   * What happens to a method's EMA teacher between rounds. `average`: averaged like the student; `local`: stays at each
   * site; `fedema`: averaged, and mixed into each site's own by FedEMA's rule; `server-ema`: follows the averaged student
   * once a round; `reset`: begins each round as the student.
   */
  teacher: z.enum(["average", "local", "fedema", "server-ema", "reset"]).default("average"),
  /** Whether the running statistics of batch norms stay at each site (FedBN) or are averaged. */
  batchStatistics: z.enum(["local", "average"]).default("local"),
  /** A site's weight is its number of images, at most this. */
  weightCap: z.number().int().positive().max(1_000_000).default(100_000),
  /** Largest L2 norm of a site's delta. */
  l2Clip: z.number().positive().default(1000),
});

/** What the coordinator learns of how training goes, and what it makes of it. */
const monitor = z.strictObject({
  /** What travels as masked sums beside the update: every figure of the method, or the loss alone. */
  figures: z.enum(["all", "loss"]).default("all"),
  /** Whether a run whose features or teacher have collapsed is paused. */
  collapse: z.enum(["pause", "off"]).default("pause"),
  /** Features with less spread than this have collapsed. */
  minFeatureSpread: z.number().min(0).max(1).default(0.05),
  /** Features that vary in fewer directions than this have collapsed. */
  minEffectiveRank: z.number().min(0).default(1.1),
  /** Rounds in a row that must look collapsed. */
  patienceRounds: count.max(1000).default(3),
});

/** Decides which flips and turns keep an image plausible. */
export const modalitySchema = z.enum(["dermatology", "radiograph", "pathology"]);

const runObject = z
  .strictObject({
    name: identifier,
    seed: z
      .number()
      .int()
      .min(0)
      .max(2 ** 31 - 1)
      .default(1),
    modality: modalitySchema,
    model: modelSchema,
    method: methodSchema,
    augmentation: augmentation.prefault({}),
    optimizer,
    training: training.prefault({}),
    rounds: count,
    cohort: cohort.prefault({}),
    deadlines: deadlines.prefault({}),
    aggregation: aggregation.prefault({}),
    monitor: monitor.prefault({}),
    privacy: privacySchema.default({ mode: "none" }),
  })
  .superRefine((config, context) => {
    const refuse = (path: string[], message: string): void => context.addIssue({ code: "custom", path, message });
    checkModel(config, refuse);
    checkAugmentation(config, refuse);
    checkBatch(config, refuse);
    checkCohort(config, refuse);
    checkMonitor(config, refuse);
    checkPrivacy(config, refuse);
    if (config.method.name === "clusters") checkClusterRun(config, refuse);
  });

type RunInput = z.input<typeof runObject>;

/** A run of clusters is written without model, optimizer and training, and gets those that mean none. */
export const runConfigSchema = z.preprocess<unknown, typeof runObject, RunInput>(withoutTraining, runObject);

type Refuse = (path: string[], message: string) => void;
type Checked<Key extends keyof RunConfig> = Pick<RunConfig, Key>;

function checkModel({ model, method }: Checked<"model" | "method">, refuse: Refuse): void {
  if (!isVit(model)) {
    if (needsVit(method)) {
      refuse(["model", "architecture"], `${method.name} works on patches: choose a vit, not ${model.architecture}`);
    }
    if (method.name === "colorme" && model.imageSize % 32 !== 0) {
      refuse(["model", "imageSize"], `${model.imageSize} is not a multiple of 32, which colorme's U-Net halves`);
    }
    return;
  }
  if (method.name === "mae") {
    if ((model.registers ?? 0) > 0) refuse(["model", "registers"], "mae has none");
    if ((model.dropPath ?? 0) > 0) refuse(["model", "dropPath"], "mae has no stochastic depth");
    const patches = Math.floor(model.imageSize / model.patchSize) ** 2;
    const visible = visiblePatches(patches, method.maskRatio);
    if (visible < 1 || visible >= patches) {
      refuse(
        ["method", "maskRatio"],
        `leaves ${visible} of ${patches} patches visible; at least one must be, and one hidden`,
      );
    }
  }
  const { imageSize, patchSize } = model;
  if (imageSize % patchSize !== 0) {
    refuse(["model", "patchSize"], `imageSize ${imageSize} is not a multiple of patchSize ${patchSize}`);
  }
  if ("localCrops" in method && method.localCrops > 0 && method.localSize % patchSize !== 0) {
    refuse(["method", "localSize"], `${method.localSize} is not a multiple of patchSize ${patchSize}`);
  }
  if ("localCrops" in method && method.localCrops > 0 && method.localSize > imageSize) {
    refuse(["method", "localSize"], `${method.localSize} is larger than imageSize ${imageSize}`);
  }
  if ("maskRatio" in method && typeof method.maskRatio !== "number") {
    const [least, most] = method.maskRatio;
    if (least > most) refuse(["method", "maskRatio"], `${least} is more than ${most}`);
    if (most >= 1) refuse(["method", "maskRatio"], "would leave no patch visible; stay below 1");
  }
  if ("align" in method && method.align > imageSize * method.maxBlockShare) {
    refuse(
      ["method", "align"],
      `${method.align} is larger than the largest block of ${imageSize * method.maxBlockShare} pixels`,
    );
  }
}

function checkAugmentation({ modality, augmentation: chosen }: Checked<"modality" | "augmentation">, refuse: Refuse) {
  const { stain: stains, radiograph: device, colourConstancy } = chosen;
  if (stains !== undefined && modality !== "pathology") {
    refuse(["augmentation", "stain"], `is for stained tissue: this run's modality is ${modality}, not pathology`);
  }
  if (stains !== undefined && stains.reinhard > 0 && stains.profiles.length === 0) {
    const remedy = "list what `consilium-agent curate profiles` prints at the sites";
    refuse(["augmentation", "stain", "reinhard"], `needs profiles to choose from: ${remedy}`);
  }
  if (device !== undefined && modality !== "radiograph") {
    refuse(["augmentation", "radiograph"], `is for X-rays: this run's modality is ${modality}, not radiograph`);
  }
  if (colourConstancy === true && modality === "radiograph") {
    refuse(["augmentation", "colourConstancy"], "is for colour images: radiographs have none");
  }
}

function checkBatch({ model, method, training }: Checked<"model" | "method" | "training">, refuse: Refuse): void {
  const { batchSize, microBatches = 1 } = training;
  const least = smallestBatch({ model, method });
  if (batchSize < least) {
    refuse(["training", "batchSize"], `${method.name} compares the images of a batch: at least ${least}`);
  }
  if (batchSize % microBatches !== 0) {
    refuse(["training", "microBatches"], `does not divide batchSize ${batchSize}`);
  }
  if (microBatches > 1 && !isSeparable({ model, method })) {
    refuse(["training", "microBatches"], `must be 1: ${method.name} compares the images of a batch with each other`);
  }
}

function checkCohort({ cohort }: Checked<"cohort">, refuse: Refuse): void {
  const { minSites, maxSites, colluders } = cohort;
  if (minSites < colluders + 2) {
    const message = `must be at least colluders + 2 = ${colluders + 2}, so that two honest sites hide in each other`;
    refuse(["cohort", "minSites"], message);
  }
  if (minSites > maxSites) refuse(["cohort", "maxSites"], "is less than minSites");
}

function checkMonitor({ monitor: { figures, collapse } }: Checked<"monitor">, refuse: Refuse): void {
  if (figures === "loss" && collapse === "pause") {
    refuse(["monitor", "collapse"], "must be off: the loss alone does not tell whether features have collapsed");
  }
}

export type RunConfig = z.output<typeof runConfigSchema>;
export type OptimizerConfig = RunConfig["optimizer"];
export type AugmentationConfig = RunConfig["augmentation"];
export type Modality = RunConfig["modality"];
/** Means of L*, a*, b* and their deviations. */
export type ColourProfile = z.output<typeof colourProfile>;
export type StainAugmentation = z.output<typeof stain>;
export type RadiographAugmentation = z.output<typeof radiograph>;

/** Global steps over the whole run; every schedule is a function of the step among these. */
export function totalSteps(config: Pick<RunConfig, "rounds" | "training">): number {
  return config.rounds * config.training.stepsPerRound;
}
