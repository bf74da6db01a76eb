import { isVit, type VitConfig } from "@consilium/shared/config/model-config.js";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { architectureOf } from "@consilium/shared/params/architecture.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { deviceChoices } from "@consilium/site-agent/engine/devices/device.js";
import type { SslMethod } from "@consilium/site-agent/ssl/method.js";
import { createMethod } from "@consilium/site-agent/ssl/methods.js";
import { denseLayout, denseReconstruction } from "./dense-reconstruction.js";

/** What is measured, said in one line of JSON to each of the processes that run it. */
export interface EngineShape {
  readonly model: string;
  /** A method of the run configuration, or "dense". */
  readonly step: string;
  readonly batch: number;
  readonly imageSize: number;
  readonly patchSize: number;
  /** 0: one per core. */
  readonly threads: number;
  readonly device: string;
  readonly precision: string;
  /** 0: what the engine chooses. */
  readonly microBatches: number;
}

export interface MeasuredStep {
  readonly config: RunConfig;
  readonly layout: ParameterLayout;
  readonly method: SslMethod;
}

/** @throws Error that names every option that does not fit */
export function checkShape(shape: EngineShape): void {
  const problems: string[] = [];
  if (!deviceChoices.some((device) => device === shape.device)) {
    problems.push(`--device ${shape.device}: use ${deviceChoices.join(", ")}`);
  }
  if (!["auto", "float32", "mixed"].includes(shape.precision)) {
    problems.push(`--precision ${shape.precision}: use auto, float32 or mixed`);
  }
  const parsed = runConfigSchema.safeParse(configInput(shape));
  for (const { path, message } of parsed.error?.issues ?? []) problems.push(`${path.join(".")}: ${message}`);
  if (problems.length > 0) throw new Error(problems.join("\n  "));
}

function configInput(shape: EngineShape): object {
  return {
    name: "bench",
    modality: "dermatology",
    model: { architecture: shape.model, imageSize: shape.imageSize, patchSize: shape.patchSize },
    method: { name: shape.step === "dense" ? "mae" : shape.step },
    optimizer: { learningRate: 1e-4 },
    training: { batchSize: shape.batch, ...(shape.microBatches === 0 ? {} : { microBatches: shape.microBatches }) },
    rounds: 1,
  };
}

export function measuredStep(shape: EngineShape): MeasuredStep {
  const dense = shape.step === "dense";
  const config = runConfigSchema.parse(configInput(shape));
  if (dense) {
    // What has no decoder is the contrastive method's, as far as the engine chooses by the configuration.
    const { method } = runConfigSchema.parse({ ...config, training: {}, method: { name: "simclr" } });
    const encoderOnly = { ...config, method };
    return { config: encoderOnly, layout: denseLayout(vitOf(config)), method: denseReconstruction(vitOf(config)) };
  }
  return { config, layout: parameterLayout(config), method: createMethod(config) };
}

/** Every measured model is one. */
function vitOf({ model }: Pick<RunConfig, "model">): VitConfig {
  if (isVit(model)) return model;
  throw new Error(`${model.architecture} is not measured here`);
}

/** The same shape in the words of the step written for PyTorch. */
export function peerShape(shape: EngineShape): Record<string, number | string> {
  const { config } = measuredStep(shape);
  const { width, depth, heads } = architectureOf(vitOf(config));
  const decoder =
    config.method.name === "mae" ? config.method : { maskRatio: 0, decoderWidth: 0, decoderBlocks: 0, decoderHeads: 0 };
  const { maskRatio, decoderWidth, decoderBlocks, decoderHeads } = decoder;
  const { imageSize, patchSize, batch, threads, step } = shape;
  const device = shape.device === "cpu" ? "cpu" : "cuda";
  return {
    width,
    depth,
    heads,
    imageSize,
    patchSize,
    batch,
    threads,
    step,
    maskRatio,
    decoderWidth,
    decoderBlocks,
    decoderHeads,
    device,
  };
}
