import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { isVit, type ModelConfig } from "@consilium/shared/config/model-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { featureWidth } from "@consilium/shared/params/architecture.js";
import type { ParameterLayout, PlacedParameter } from "@consilium/shared/params/layout.js";
import { encoderTensorNames } from "@consilium/shared/params/parameters.js";
import type { CompiledProgram, Engine, Program } from "../engine/program.js";
import { backbone } from "../model/backbone.js";
import { parameterOf } from "../model/layers.js";
import { normalised } from "../model/normalise.js";
import type { HostTensors, NamedTensors, TensorSpec } from "../model/tensors.js";
import type { Tensor } from "../model/tf.js";
import type { FeatureSet } from "./feature-set.js";

const statisticsNames = /\.running_(?:mean|var)$/;

/** A model and which of its tokens stand for the image: the class token unless said otherwise, or the patches' mean. */
export type EncoderChoice = ModelConfig & { readonly pooling?: "class" | "mean" };

/**
 * Tensors by the names that models know, among them those of the encoder: a run's `parameterLayout`, or what
 * `encoderTensors` finds in a checkpoint.
 */
export type EncoderLayout = Pick<ParameterLayout, "parameters">;

function encoderParameters(layout: EncoderLayout): readonly PlacedParameter[] {
  const names = new Set(encoderTensorNames(layout));
  return layout.parameters.filter(({ name }) => names.has(name));
}

export interface EncoderInputs {
  readonly batchSize: number;
  /** "bytes": uint8 in 0 … 255, normalised by the program; "normalised": float32 that the caller has normalised. */
  readonly pixels: "bytes" | "normalised";
}

/**
 * Images to features after the final norm. Inputs: "parameter/<name>" for every encoder tensor of the layout and
 * "images" [batchSize, imageSize, imageSize, 3]. Output: "features" [batchSize, width]. A residual network without running
 * statistics, which may stay at the sites, normalises by the images of the batch.
 */
export function encodeProgram(
  choice: EncoderChoice,
  layout: EncoderLayout,
  { batchSize, pixels }: EncoderInputs,
): Program {
  const { imageSize } = choice;
  const parameters = encoderParameters(layout);
  const specs = parameters.map(({ name, shape }): [string, TensorSpec] => [
    `parameter/${name}`,
    { shape, dtype: "float32" },
  ]);
  return {
    name: `${choice.architecture} encoder`,
    description: canonicalJson({
      choice,
      batchSize,
      pixels,
      tensors: parameters.map(({ name, shape }) => [name, shape]),
    }),
    inputs: {
      ...Object.fromEntries(specs),
      images: { shape: [batchSize, imageSize, imageSize, 3], dtype: pixels === "bytes" ? "uint8" : "float32" },
    },
    build(inputs) {
      const named = parameters.map(({ name }) => [name, parameterOf(inputs, `parameter/${name}`)]);
      const given = parameterOf(inputs, "images");
      const images = pixels === "bytes" ? normalised(given) : given;
      return { features: encoded(choice, Object.fromEntries(named), images) };
    },
  };
}

function encoded(choice: EncoderChoice, tensors: NamedTensors, images: Tensor): Tensor {
  const { pooling = "class" } = choice;
  const statistics = Object.entries(tensors).filter(([name]) => statisticsNames.test(name));
  const mode = isVit(choice) || statistics.length > 0 ? "evaluation" : "training";
  const input = {
    model: choice,
    parameters: tensors,
    statistics: Object.fromEntries(statistics),
    images,
    pooling,
    mode,
  } as const;
  return backbone(input).features;
}

/** The encoder's part of a flat vector as inputs of `encodeProgram`; views, not copies. */
export function encoderInputs(layout: EncoderLayout, vector: Float32Array): HostTensors {
  return Object.fromEntries(
    encoderParameters(layout).map(({ name, shape, offset, size }) => [
      `parameter/${name}`,
      { shape, data: vector.subarray(offset, offset + size) },
    ]),
  );
}

export interface FeatureJob {
  readonly engine: Engine;
  readonly model: EncoderChoice;
  readonly layout: EncoderLayout;
  /** Flat parameters of the whole layout. */
  readonly vector: Float32Array;
  /** 8-bit images in 0 … 255, each [imageSize, imageSize, 3]. */
  readonly images: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  readonly batchSize: number;
}

/** Features of every image, in order. The last batch is filled up and what fills it is left out. */
export async function extractFeatures(job: FeatureJob): Promise<FeatureSet> {
  const program = encodeProgram(job.model, job.layout, { batchSize: job.batchSize, pixels: "bytes" });
  const compiled = await job.engine.compile(program);
  try {
    const batches: Float32Array[] = [];
    let count = 0;
    for await (const { pixels, filled } of batchesOf(job)) {
      batches.push(await encodeBatch(compiled, job, { pixels, filled }));
      count += filled;
    }
    return joined(batches, { count, width: featureWidth(job.model) });
  } finally {
    await compiled.release();
  }
}

function missingFeatures(): never {
  throw new ConsiliumError("internal", "the encoder gave no features");
}

interface Batch {
  /** [batchSize, imageSize, imageSize, 3] */
  readonly pixels: Uint8Array;
  /** Images in it; the rest repeats them. */
  readonly filled: number;
}

async function* batchesOf({ images, batchSize, model }: FeatureJob): AsyncGenerator<Batch> {
  const pixelsPerImage = model.imageSize ** 2 * 3;
  const pixels = new Uint8Array(batchSize * pixelsPerImage);
  let filled = 0;
  for await (const image of images) {
    pixels.set(image, filled * pixelsPerImage);
    filled += 1;
    if (filled < batchSize) continue;
    yield { pixels, filled };
    filled = 0;
  }
  if (filled === 0) return;
  // Repeats what is there, so that an encoder which normalises by the batch sees nothing else.
  for (let index = filled; index < batchSize; index++) {
    pixels.copyWithin(
      index * pixelsPerImage,
      (index % filled) * pixelsPerImage,
      ((index % filled) + 1) * pixelsPerImage,
    );
  }
  yield { pixels, filled };
}

async function encodeBatch(compiled: CompiledProgram, job: FeatureJob, batch: Batch): Promise<Float32Array> {
  const { imageSize } = job.model;
  const images = { shape: [job.batchSize, imageSize, imageSize, 3], data: batch.pixels };
  const outputs = await compiled.run({ ...encoderInputs(job.layout, job.vector), images });
  const features = outputs.features?.data ?? missingFeatures();
  return Float32Array.from(features.subarray(0, batch.filled * featureWidth(job.model)));
}

function joined(batches: readonly Float32Array[], { count, width }: { count: number; width: number }): FeatureSet {
  const values = new Float32Array(count * width);
  let offset = 0;
  for (const batch of batches) {
    values.set(batch, offset);
    offset += batch.length;
  }
  return { count, width, values };
}
