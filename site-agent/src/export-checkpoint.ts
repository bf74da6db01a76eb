import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { exportEncoderOnnx, exportEncoderSafetensors } from "./eval/export-encoder.js";
import { fileDigest } from "./round/hashing.js";
import { readCheckpoint } from "./trainer/checkpoint-vector.js";

export interface ExportRequest {
  /** A run's checkpoint, as the coordinator stores and hands it out. */
  readonly checkpoint: string;
  readonly outDirectory: string;
  /** Images per call of the ONNX model. */
  readonly batchSize: number;
}

export interface ExportReport {
  readonly safetensors: string;
  readonly onnx: string;
  readonly architecture: string;
  readonly method: string;
}

/** Where the weights come from, copied from the checkpoint. */
const provenance = ["name", "run", "round", "parent", "cohort", "weight", "aggregation"] as const;

/**
 * Writes a checkpoint's encoder as `encoder.safetensors` and `encoder.onnx`.
 * @throws ConsiliumError "input-unreadable" when the file is not a checkpoint of a run.
 */
export async function exportCheckpoint({ checkpoint, outDirectory, batchSize }: ExportRequest): Promise<ExportReport> {
  const { metadata } = await readSafetensors(checkpoint);
  const config = configOf(metadata["config"], checkpoint);
  const { vector } = await readCheckpoint(checkpoint, checkpointLayout(config));
  const known = provenance.flatMap((name) => (metadata[name] === undefined ? [] : [[name, metadata[name]] as const]));
  const request = {
    config,
    vector,
    metadata: { ...Object.fromEntries(known), checkpoint: await fileDigest(checkpoint) },
  };
  await mkdir(outDirectory, { recursive: true });
  const safetensors = join(outDirectory, "encoder.safetensors");
  const onnx = join(outDirectory, "encoder.onnx");
  await exportEncoderSafetensors(safetensors, request);
  await exportEncoderOnnx(onnx, { ...request, batchSize });
  return { safetensors, onnx, architecture: config.model.architecture, method: config.method.name };
}

function configOf(text: string | undefined, checkpoint: string): RunConfig {
  try {
    return runConfigSchema.parse(JSON.parse(text ?? ""));
  } catch (cause) {
    throw new ConsiliumError("input-unreadable", `${checkpoint}: does not say which run it belongs to`, {
      remedy: "give the checkpoint as 'consilium run export' writes it",
      cause,
    });
  }
}
