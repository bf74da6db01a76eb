import { ConsiliumError } from "@consilium/shared/errors.js";
import { featureWidth } from "@consilium/shared/params/architecture.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { placeParameters } from "@consilium/shared/params/layout.js";
import { linear as linearSpecs, zeros } from "@consilium/shared/params/specs.js";
import { permutation, type Random, randomFor } from "@consilium/shared/random.js";
import { cosineAt } from "@consilium/shared/schedules.js";
import type { Engine } from "../engine/program.js";
import { Stepper } from "../engine/stepper.js";
import { type TrainStepOptions, trainStepProgram } from "../engine/train-step.js";
import { freshState } from "../engine/training-state.js";
import { backbone } from "../model/backbone.js";
import { linear, parameterOf } from "../model/layers.js";
import type { HostTensors } from "../model/tensors.js";
import { type Tensor2D, tf } from "../model/tf.js";
import type { SslMethod } from "../ssl/method.js";
import { type EncoderChoice, type EncoderLayout, extractFeatures } from "./encode.js";
import { type FeatureSet, largestPerRow } from "./feature-set.js";
import type { Labels } from "./metrics.js";

/** How an encoder is trained on a few labelled images, end to end with a linear classifier. */
export interface FineTuneSettings {
  readonly steps: number;
  readonly batchSize: number;
  /** At the end of the warm-up; then half a cosine to zero. */
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Share of the steps. */
  readonly warmupShare: number;
}

export interface FineTuneJob {
  readonly engine: Engine;
  readonly model: EncoderChoice;
  /** The encoder's tensors and where they lie in `vector`. */
  readonly layout: EncoderLayout;
  readonly vector: Float32Array;
  /** 8-bit, each [imageSize, imageSize, 3]. */
  readonly train: readonly Uint8Array[];
  readonly trainLabels: Labels;
  readonly test: readonly Uint8Array[];
  readonly classes: number;
  readonly settings: FineTuneSettings;
  /** Order of images, draws of the augmentation. */
  readonly seed: number;
  /** A changed copy of a training image, of the same size. */
  augment(image: Uint8Array, random: Random): Uint8Array;
}

const statistics = /\.running_(?:mean|var)$/;

/** Encoder and classifier; the classifier starts at zero. */
function tunedLayout({ model, layout, classes }: FineTuneJob): ParameterLayout {
  const encoder = layout.parameters.filter(({ name }) => !statistics.test(name));
  const head = linearSpecs("classifier", { inputs: featureWidth(model), outputs: classes }, zeros);
  return placeParameters([...encoder, ...head]);
}

/** Supervised training in the form of a method: softmax cross entropy of the linear classifier. */
function classification({ model, classes }: Pick<FineTuneJob, "model" | "classes">): SslMethod {
  const { pooling = "class", ...plain } = model;
  return {
    name: "classification",
    views: [{ name: "view", size: model.imageSize, channels: 3, kind: "pixels" }],
    separable: false,
    coupling: undefined,
    extraInputs: (batchSize) => ({ truth: { shape: [batchSize, classes], dtype: "float32" } }),
    drawExtraInputs: () => ({}),
    loss(parameters, batch) {
      const images = parameterOf(batch, "view");
      const { features } = backbone({ model: plain, parameters, images, pooling, mode: "training" });
      const logits = linear(features, { parameters, name: "classifier" }) as Tensor2D;
      const logLikelihoods = tf.sum(tf.mul(tf.logSoftmax(logits), parameterOf(batch, "truth")), 1);
      return { loss: tf.neg(tf.mean(logLikelihoods)), terms: {} };
    },
  };
}

/** The images of a step, and which class each has: [batchSize, classes]. */
function batchAt(step: number, job: FineTuneJob): HostTensors {
  const { train, trainLabels, classes, settings, seed, model } = job;
  const { batchSize } = settings;
  const side = model.imageSize;
  const pixels = new Uint8Array(batchSize * side * side * 3);
  const truth = new Float32Array(batchSize * classes);
  for (let row = 0; row < batchSize; row++) {
    const place = step * batchSize + row;
    const epoch = Math.floor(place / train.length);
    const index = permutation(train.length, randomFor("fine-tune-order", seed, epoch))[place % train.length] ?? 0;
    pixels.set(job.augment(train[index]!, randomFor("fine-tune-view", seed, place)), row * side * side * 3);
    truth[row * classes + trainLabels[index]!] = 1;
  }
  return {
    view: { shape: [batchSize, side, side, 3], data: pixels },
    truth: { shape: [batchSize, classes], data: truth },
  };
}

/** First values: the encoder's own, and zeros for the classifier. */
function startOf(job: FineTuneJob, layout: ParameterLayout): Float32Array {
  const vector = initialVector(layout, job.seed);
  const places = new Map(job.layout.parameters.map((parameter) => [parameter.name, parameter]));
  for (const { name, offset, size } of layout.parameters) {
    const source = places.get(name);
    if (source !== undefined) vector.set(job.vector.subarray(source.offset, source.offset + size), offset);
  }
  return vector;
}

async function tunedVector(job: FineTuneJob, layout: ParameterLayout): Promise<Float32Array> {
  const { settings, engine } = job;
  const { steps, learningRate: base, weightDecay, batchSize } = settings;
  const options: TrainStepOptions = {
    method: classification(job),
    layout,
    optimizer: { name: "adamw", beta1: 0.9, beta2: 0.999, gradientClip: 3 },
    batchSize,
  };
  const compiled = await engine.compile(trainStepProgram(options));
  const stepper = await Stepper.start(compiled, options, freshState(options, startOf(job, layout)));
  try {
    const schedule = { base, final: 0, steps, warmupSteps: Math.round(settings.warmupShare * steps) };
    for (let step = 0; step < steps; step++) {
      const { finite } = await stepper.take(batchAt(step, job), {
        learningRate: cosineAt(step, schedule),
        weightDecay,
      });
      if (!finite) throw notFinite(step);
    }
    return (await stepper.state()).parameters;
  } finally {
    await stepper.release();
    await compiled.release();
  }
}

function notFinite(step: number): ConsiliumError {
  return new ConsiliumError("not-finite", `fine-tuning: the loss or a gradient was not finite in step ${step}`, {
    remedy: "lower the learning rate",
  });
}

/** The classifier's logits of every row: [count, classes]. */
function logitsOf({ count, width, values }: FeatureSet, weight: Float32Array, bias: Float32Array): Float64Array {
  const classes = bias.length;
  return Float64Array.from({ length: count * classes }, (_, at) => {
    const [row, label] = [Math.floor(at / classes), at % classes];
    let sum = bias[label]!;
    for (let column = 0; column < width; column++)
      sum += values[row * width + column]! * weight[label * width + column]!;
    return sum;
  });
}

/**
 * Trains encoder and a linear classifier together on the labelled images (Dosovitskiy et al. 2021), and classifies the
 * test images.
 * @returns the predicted class of each test image
 * @throws ConsiliumError "not-finite" when a step's loss or gradient is not finite
 */
export async function fineTune(job: FineTuneJob): Promise<Int32Array> {
  const layout = tunedLayout(job);
  const vector = await tunedVector(job, layout);
  const { engine, model, classes } = job;
  const features = await extractFeatures({ engine, model, layout, vector, images: job.test, batchSize: 64 });
  const part = (name: string): Float32Array => {
    const { offset, size } = layout.parameters.find((parameter) => parameter.name === name)!;
    return vector.subarray(offset, offset + size);
  };
  return largestPerRow(logitsOf(features, part("classifier.weight"), part("classifier.bias")), classes);
}
