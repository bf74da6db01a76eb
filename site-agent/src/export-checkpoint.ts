import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MethodOf } from "@consilium/shared/config/method-config.js";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { fileDigest } from "./chain/hashing.js";
import { cellModelText } from "./data/curation/cell-model.js";
import { cellsOfRun } from "./data/curation/cluster-round.js";
import { exportEncoderOnnx, exportEncoderSafetensors } from "./eval/export-encoder.js";
import { readCheckpoint } from "./trainer/checkpoint-vector.js";

export interface ExportRequest {
  /** A run's checkpoint, as the coordinator stores and hands it out. */
  readonly checkpoint: string;
  readonly outDirectory: string;
  /** Images per call of the ONNX model. */
  readonly batchSize: number;
}

export type ExportReport = ExportedEncoder | ExportedClusters;

export interface ExportedEncoder {
  readonly safetensors: string;
  readonly onnx: string;
  readonly architecture: string;
  readonly method: string;
}

export interface ExportedClusters {
  /** Scaling and centroids, which `consilium-agent curate import` takes. */
  readonly clusters: string;
  readonly cells: number;
}

/** Where the weights come from, copied from the checkpoint. */
const provenance = ["name", "run", "round", "parent", "cohort", "weight", "aggregation"] as const;

/**
 * Writes a checkpoint's encoder as `encoder.safetensors` and `encoder.onnx`; the cells of a run of clusters as
 * `clusters.json`.
 * @throws ConsiliumError "input-unreadable" when the file is not a checkpoint of a run; "not-found" when it has no cells
 */
export async function exportCheckpoint(request: ExportRequest): Promise<ExportReport> {
  const { metadata } = await readSafetensors(request.checkpoint);
  const config = configOf(metadata["config"], request.checkpoint);
  const { method } = config;
  if (method.name === "clusters") return exportClusters(request, { config, method, metadata });
  return exportEncoder(request, { config, metadata });
}

interface CheckpointFacts {
  readonly config: RunConfig;
  readonly metadata: Readonly<Record<string, string>>;
}

async function exportClusters(
  { checkpoint, outDirectory }: ExportRequest,
  { config, method, metadata }: CheckpointFacts & { readonly method: MethodOf<"clusters"> },
): Promise<ExportedClusters> {
  const { vector } = await readCheckpoint(checkpoint, checkpointLayout(config));
  const numberOf = (name: string) => Number(metadata[name] ?? 0);
  const state = { vector, round: numberOf("round"), images: numberOf("weight") };
  const model = cellsOfRun({ method, seed: config.seed }, state);
  await mkdir(outDirectory, { recursive: true });
  const clusters = join(outDirectory, "clusters.json");
  await writeFile(clusters, cellModelText(model));
  return { clusters, cells: model.centroids.length };
}

async function exportEncoder(
  { checkpoint, outDirectory, batchSize }: ExportRequest,
  { config, metadata }: CheckpointFacts,
): Promise<ExportedEncoder> {
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
