import { writeFile } from "node:fs/promises";
import { type MethodConfig, teacherIsEncoder } from "@consilium/shared/config/method-config.js";
import { isVit, type VitConfig } from "@consilium/shared/config/model-config.js";
import { poolingOf } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { architectureOf, featureWidth } from "@consilium/shared/params/architecture.js";
import type { CarriedConfig } from "@consilium/shared/params/carried.js";
import { encoderTensors } from "@consilium/shared/params/checkpoint-layout.js";
import { fixedTensors } from "@consilium/shared/params/parameters.js";
import { type NamedTensor, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { exportOnnx } from "../engine/export-onnx.js";
import { channelDeviation, channelMean } from "../model/pixel-scale.js";
import { encodeProgram, encoderInputs } from "./encode.js";

export interface EncoderExport {
  readonly config: CarriedConfig;
  /** A checkpoint's flat vector. */
  readonly vector: Float32Array;
  /** Where it comes from, such as run, round and digest. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What somebody needs to use the encoder without this software. */
function describe({ config, metadata }: EncoderExport): Record<string, string> {
  const { model, method, aggregation } = config;
  const ofTeacher = teacherIsEncoder(method) && ["average", "fedema", "server-ema"].includes(aggregation.teacher);
  return {
    architecture: model.architecture,
    width: String(featureWidth(model)),
    imageSize: String(model.imageSize),
    ...(isVit(model) ? describeVit(model, method) : {}),
    method: method.name,
    network: ofTeacher ? "teacher" : "student",
    pixelScale: "0 to 1, then (pixel - mean) / deviation",
    ...(method.name === "colorme" ? { pixelChannels: "green only, from 0 to 1, without mean and deviation" } : {}),
    pixelMean: channelMean.join(" "),
    pixelDeviation: channelDeviation.join(" "),
    ...metadata,
  };
}

function describeVit(model: VitConfig, method: MethodConfig): Record<string, string> {
  const { depth, heads } = architectureOf(model);
  const { patchSize, registers = 0 } = model;
  const counts = { depth, heads, patchSize, registers };
  const texts = Object.entries(counts).map(([name, value]) => [name, String(value)]);
  return { ...Object.fromEntries(texts), pooling: poolingOf(method) };
}

/** The encoder as timm or torchvision names it, with `pos_embed` also where positions are fixed. Values are views, not copies. */
export function namedEncoder({ config, vector }: EncoderExport): NamedTensor[] {
  const trained = encoderTensors(config).map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: vector.subarray(offset, offset + size),
  }));
  const positions = fixedTensors(config).get("pos_embed");
  return positions === undefined ? trained : trained.toSpliced(1, 0, { name: "pos_embed", ...positions });
}

/** Writes the encoder as safetensors, which timm's vision transformers of the same size load by name. */
export async function exportEncoderSafetensors(path: string, request: EncoderExport): Promise<void> {
  await writeSafetensors(path, namedEncoder(request), { format: "pt", ...describe(request) });
}

/**
 * Writes the encoder as ONNX with its weights inside: "images" float32 [batchSize, imageSize, imageSize, 3], normalised,
 * to "features" [batchSize, width].
 * @throws ConsiliumError "input-unsupported" for a residual network whose running statistics stayed at the sites
 */
export async function exportEncoderOnnx(
  path: string,
  request: EncoderExport & { readonly batchSize: number },
): Promise<void> {
  const { config, vector, batchSize } = request;
  requireStatistics(config);
  const layout = { parameters: encoderTensors(config) };
  const choice = { ...config.model, pooling: poolingOf(config.method) };
  const program = encodeProgram(choice, layout, { batchSize, pixels: "normalised" });
  const model = exportOnnx({ program, constants: encoderInputs(layout, vector), metadata: describe(request) });
  await writeFile(path, model);
}

/** Without them a network would give other features for an image when others are beside it. */
function requireStatistics({ model, aggregation }: CarriedConfig): void {
  if (isVit(model) || aggregation.batchStatistics === "average") return;
  throw new ConsiliumError(
    "input-unsupported",
    `${model.architecture} cannot be exported as ONNX: its batch norms' running statistics stayed at the sites`,
    {
      remedy:
        "set aggregation.batchStatistics to average in the next run, or estimate them from your own images with the weights in encoder.safetensors",
    },
  );
}
