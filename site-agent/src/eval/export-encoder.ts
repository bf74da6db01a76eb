import { writeFile } from "node:fs/promises";
import { poolingOf, type RunConfig } from "@consilium/shared/config/run-config.js";
import { architectureOf } from "@consilium/shared/params/architecture.js";
import { encoderTensorNames, fixedTensors, parameterLayout } from "@consilium/shared/params/parameters.js";
import { type NamedTensor, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { exportOnnx } from "../engine/export-onnx.js";
import { channelDeviation, channelMean } from "../model/pixel-scale.js";
import { encodeProgram, encoderInputs } from "./encode.js";

export interface EncoderExport {
  readonly config: Pick<RunConfig, "model" | "method">;
  /** Flat parameters of the whole layout. */
  readonly vector: Float32Array;
  /** Where it comes from, such as run, round and digest. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What somebody needs to use the encoder without this software. */
function describe({ config, metadata }: EncoderExport): Record<string, string> {
  const { model, method } = config;
  const { width, depth, heads } = architectureOf(model);
  return {
    architecture: model.architecture,
    width: String(width),
    depth: String(depth),
    heads: String(heads),
    imageSize: String(model.imageSize),
    patchSize: String(model.patchSize),
    method: method.name,
    pooling: poolingOf(method),
    pixelScale: "0 to 1, then (pixel - mean) / deviation",
    pixelMean: channelMean.join(" "),
    pixelDeviation: channelDeviation.join(" "),
    ...metadata,
  };
}

/** The encoder as timm names it, with `pos_embed` also where positions are fixed. Values are views, not copies. */
export function encoderTensors({ config, vector }: EncoderExport): NamedTensor[] {
  const layout = parameterLayout(config);
  const names = new Set(encoderTensorNames(layout));
  const trained = layout.parameters
    .filter(({ name }) => names.has(name))
    .map(({ name, shape, offset, size }) => ({ name, shape, data: vector.subarray(offset, offset + size) }));
  const positions = fixedTensors(config).get("pos_embed");
  return positions === undefined ? trained : trained.toSpliced(1, 0, { name: "pos_embed", ...positions });
}

/** Writes the encoder as safetensors, which timm's vision transformers of the same size load by name. */
export async function exportEncoderSafetensors(path: string, request: EncoderExport): Promise<void> {
  await writeSafetensors(path, encoderTensors(request), { format: "pt", ...describe(request) });
}

/**
 * Writes the encoder as ONNX with its weights inside: "images" float32 [batchSize, imageSize, imageSize, 3], normalised,
 * to "features" [batchSize, width].
 */
export async function exportEncoderOnnx(
  path: string,
  request: EncoderExport & { readonly batchSize: number },
): Promise<void> {
  const { config, vector, batchSize } = request;
  const layout = parameterLayout(config);
  const choice = { ...config.model, pooling: poolingOf(config.method) };
  const program = encodeProgram(choice, layout, { batchSize, pixels: "normalised" });
  const model = exportOnnx({ program, constants: encoderInputs(layout, vector), metadata: describe(request) });
  await writeFile(path, model);
}
