import { methodNames } from "@consilium/shared/config/method-config.js";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";

/** A method in one of its forms, small enough for a few seconds. */
export interface ConformanceCase {
  readonly title: string;
  readonly config: RunConfig;
}

/** Training steps that are compared. */
export const stepCount = 3;

const nano = { architecture: "vit-nano", imageSize: 16, patchSize: 4 };
const resnet = { architecture: "resnet18", imageSize: 32 };

/** So that in three steps a teacher moves as far as its student, and frozen prototypes are set free after the first. */
const fastTeacher = { momentum: 0.6, finalMomentum: 0.9 };
const distillation = {
  ...fastTeacher,
  ...{ outputDim: 48, hiddenDim: 32, bottleneckDim: 16, localSize: 8, localCrops: 2 },
  ...{ teacherTemperature: 0.05, finalTeacherTemperature: 0.07, temperatureWarmupShare: 0.7 },
  freezeLastLayerShare: 0.34,
};
const masked = { ...distillation, maskProbability: 0.6, maskRatio: [0.2, 0.6] };

interface Written {
  readonly variant?: string;
  readonly model?: object;
  readonly method: { readonly name: string } & Readonly<Record<string, unknown>>;
  readonly optimizer?: { readonly name?: string } & Readonly<Record<string, unknown>>;
  /**
   * Of weights and batches; absent: 1. Where one of a million rectifiers has an input within rounding of zero, single and
   * double precision differ in whether it passes a gradient, by up to some hundredths of a tensor's; the seeds of residual
   * networks are such that none has.
   */
  readonly seed?: number;
}

const written: readonly Written[] = [
  { method: { name: "simclr", projectionDim: 24 } },
  { variant: "class token", method: { name: "simclr", projectionDim: 24, pooling: "class", temperature: 0.2 } },
  {
    variant: "resnet18, lars",
    model: resnet,
    method: { name: "simclr", projectionDim: 24 },
    optimizer: { name: "lars" },
  },
  { method: { name: "byol", hiddenDim: 48, projectionDim: 24, ...fastTeacher } },
  {
    variant: "layer norms",
    method: { name: "byol", hiddenDim: 48, projectionDim: 24, headNorm: "layer", ...fastTeacher },
  },
  {
    variant: "resnet18, lars",
    model: resnet,
    method: { name: "byol", hiddenDim: 48, projectionDim: 24, ...fastTeacher },
    optimizer: { name: "lars" },
    seed: 4,
  },
  { method: { name: "mae", decoderWidth: 32, decoderBlocks: 2, decoderHeads: 4 } },
  {
    variant: "raw pixels",
    method: {
      name: "mae",
      decoderWidth: 32,
      decoderBlocks: 1,
      decoderHeads: 2,
      normalizePixels: false,
      maskRatio: 0.5,
    },
  },
  { method: { name: "dino", ...distillation } },
  {
    variant: "lengths, drop path",
    model: { ...nano, dropPath: 0.3 },
    method: { name: "dino", ...distillation, normalizeLastLayer: false },
  },
  { method: { name: "ibot", ...masked } },
  { variant: "no small crops", method: { name: "ibot", ...masked, localCrops: 0, maskShape: "random" } },
  {
    method: { name: "dinov2", ...masked },
    model: { ...nano, layerScale: 0.1 },
    optimizer: { clipping: "sub-network", layerDecay: 0.8, patchEmbeddingRate: 0.5 },
  },
  {
    variant: "balanced, two heads, registers",
    method: { name: "dinov2", ...masked, teacherNormalization: "sinkhorn-knopp", sharedHead: false },
    model: { ...nano, registers: 2, layerScale: 0.1, dropPath: 0.3, dropPathRule: "uniform" },
    optimizer: { clipping: "sub-network" },
  },
  { method: { name: "gmml", fills: ["noise", "zeros", "copy"] } },
  { method: { name: "sit", hiddenDim: 48, projectionDim: 24, ...fastTeacher } },
  {
    variant: "layer norms",
    method: { name: "sit", hiddenDim: 48, projectionDim: 24, headNorm: "layer", ...fastTeacher },
  },
  { method: { name: "colorme" } },
  { variant: "resnet18, sgd", model: resnet, method: { name: "colorme" }, optimizer: { name: "sgd" }, seed: 5 },
];

/** Steps that are large beside rounding errors and small beside the weights. */
const optimizers: Readonly<Record<string, object>> = {
  adamw: { learningRate: 2e-4 },
  lars: { learningRate: 0.03, trustCoefficient: 0.1 },
  sgd: { learningRate: 0.01 },
};

function caseOf({ variant, model = nano, method, optimizer = {}, seed = 1 }: Written): ConformanceCase {
  const options = { name: "adamw", ...optimizer };
  const config = runConfigSchema.parse({
    name: "conformance",
    seed,
    modality: "dermatology",
    model,
    method,
    optimizer: {
      ...{ weightDecay: 0.05, finalWeightDecay: 0.2, gradientClip: 0.3, warmupShare: 0 },
      ...optimizers[options.name],
      ...options,
    },
    training: { batchSize: 8, stepsPerRound: stepCount },
    rounds: 1,
  });
  return { title: variant === undefined ? method.name : `${method.name}: ${variant}`, config };
}

/**
 * @param methods names; absent: all
 * @throws Error for a name that no method has
 */
export function casesOf(methods: readonly string[] | undefined): ConformanceCase[] {
  const unknown = (methods ?? []).filter((name) => !methodNames.some((known) => known === name));
  if (unknown.length > 0) throw new Error(`no method ${unknown.join(", ")}: use ${methodNames.join(", ")}`);
  return written.filter(({ method }) => methods?.includes(method.name) ?? true).map(caseOf);
}
