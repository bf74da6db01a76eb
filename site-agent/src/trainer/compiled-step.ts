import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { OpenedEngine } from "../engine/devices/device.js";
import type { OpenRequest } from "../engine/devices/device-drivers.js";
import { availableMemory, readMemory } from "../engine/memory/available-memory.js";
import { checkMemory } from "../engine/memory/check-memory.js";
import type { CompiledProgram } from "../engine/program.js";
import { callSize, runStep, stepCalls } from "../engine/run-step.js";
import { Stepper, type StepTaker } from "../engine/stepper.js";
import { type TrainStepOptions, trainStepProgram } from "../engine/train-step.js";
import type { StateShape, TrainingState } from "../engine/training-state.js";
import type { TrainerParts } from "./prepared-run.js";
import { compilePatientStep } from "./private-step.js";
import type { CheckedJob } from "./protocol.js";
import { stepDescription, tellPrepared } from "./step-facts.js";

/** A run's training step, ready to be taken on the site's device. */
export interface CompiledStep {
  /** What decides which vectors the training state has: layout, method, optimiser. */
  readonly shape: StateShape;
  /** How many steps one run of the program takes. */
  readonly stepsPerCall: number;
  /** Images that go through the model together: the batch, or one of its equal parts. */
  readonly partImages: number;
  /** Patients of one run of the program, where steps draw patients. */
  readonly slots?: number;
  start(state: TrainingState): Promise<StepTaker>;
  release(): Promise<void>;
}

/** @throws ConsiliumError "config-invalid", "kernel-missing", "out-of-memory" */
export async function compileStep(job: CheckedJob, parts: TrainerParts): Promise<CompiledStep> {
  const opened = await parts.openEngine(engineRequest(job));
  return job.config.privacy.mode === "patient"
    ? compilePatientStep(job, opened, parts)
    : compilePlain(job, opened, parts);
}

async function compilePlain(job: CheckedJob, opened: OpenedEngine, parts: TrainerParts): Promise<CompiledStep> {
  const { config } = job;
  const { engine, device } = opened;
  const startedAt = parts.now();
  const options = runStep(config, opened);
  const { program, ...calls } = stepCalls(options, callSize(device, config.training.stepsPerRound));
  const { microBatches, lossScaling = false }: TrainStepOptions = options;
  const description = stepDescription(config, options, { count: calls.count, microBatches, lossScaling });
  const step = await engine.compile({ ...program, description });
  if (device === "cpu") await checkFits(step, { options, config, available: parts.availableMemory?.() });
  tellPrepared(job, opened, { parts, step, startedAt });
  return {
    shape: options,
    stepsPerCall: calls.count,
    partImages: options.batchSize / options.microBatches,
    start: (state) => Stepper.start(step, options, state, calls),
    release: () => step.release(),
  };
}

interface Fitting {
  readonly options: TrainStepOptions;
  readonly config: RunConfig;
  readonly available: number | undefined;
}

/** @throws ConsiliumError "out-of-memory" with the batch size that would fit */
async function checkFits(step: CompiledProgram, { options, config, available }: Fitting): Promise<void> {
  const there = available ?? availableMemory(readMemory());
  if ((step.report?.peakBytes ?? 0) <= there) return;
  const { batchSize, method, microBatches = 1 } = options;
  try {
    checkMemory({
      programFor: (size) => trainStepProgram({ ...options, batchSize: size }),
      ...{ batchSize, microBatches, recompute: config.training.recompute, separable: method.separable },
      ...{ passes: { products: "fused" }, available: there },
    });
  } catch (thrown) {
    await step.release();
    throw thrown;
  }
}

/** A patient's gradient is clipped by its norm, which half precision would not measure well enough. */
function engineRequest({ threads, engine, config }: CheckedJob): OpenRequest {
  const { device, precision, cacheDirectory, tensorflowDirectory } = engine;
  return {
    device,
    precision: config.privacy.mode === "patient" ? "float32" : precision,
    ...(threads === undefined ? {} : { threads }),
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
    ...(tensorflowDirectory === undefined ? {} : { tensorflowDirectory }),
  };
}
