import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { type ParameterLayout, sizeOf } from "@consilium/shared/params/layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import type { HostTensor, HostTensors, TensorSpec, TensorSpecs } from "../../model/tensors.js";
import { modelOf } from "../compiled-model.js";
import type { DeviceName } from "../devices/device.js";
import type { Graph } from "../graph/graph.js";
import { largestBatch } from "../memory/fitting-batch.js";
import { type PeakMemory, predictPeak } from "../memory/predict-peak.js";
import { type OptimizeOptions, optimize } from "../passes/optimize.js";
import type { Program } from "../program.js";
import { runStep } from "../run-step.js";
import { parameterInput } from "../step-inputs.js";
import { traceProgram } from "../trace/trace-program.js";
import { trainStepProgram } from "../train-step.js";
import { graphFlops } from "./flops.js";
import { inspectSession, type SessionInspection } from "./inspect-session.js";
import { countModelOperations, countOperations, type OperationRow, operationRows } from "./operation-counts.js";
import { type ProfileReport, profileReport } from "./profile-report.js";

export interface ExplainRequest {
  readonly config: RunConfig;
  /** Absent: the run's. */
  readonly batchSize?: number;
  readonly device: "cpu" | "webgpu";
  readonly threads?: number;
  /** Steps on random data to measure, the first of which is a warm-up; absent: nothing runs. */
  readonly profileSteps?: number;
  /** Bytes that this process may still take. */
  readonly available: number;
  readonly signal: AbortSignal;
}

export interface Explanation {
  readonly program: string;
  readonly device: string;
  readonly batchSize: number;
  /** Equal parts that the batch goes through the model in. */
  readonly microBatches: number;
  readonly recompute: boolean;
  readonly parameters: number;
  /** Of the products of one step. */
  readonly flops: number;
  readonly operations: readonly OperationRow[];
  readonly memory: PeakMemory & {
    readonly available: number;
    /** The largest batch size whose step fits into what is available. */
    readonly largestBatch: number;
  };
  readonly profile?: ProfileReport;
}

/**
 * What a run's training step becomes on a device, and what it costs. Needs no images.
 * @throws ConsiliumError "config-invalid" when the method does not fit the model or the device is not measured here,
 *   "kernel-missing", AbortedError
 */
export async function explainRun(request: ExplainRequest): Promise<Explanation> {
  const { config, device, available } = request;
  const batchSize = request.batchSize ?? config.training.batchSize;
  const step = trainingStep(config, batchSize, device);
  // Other batches in the same number of parts: what the device would choose for them is another question.
  const { microBatches } = step;
  const divided = { ...config, training: { ...config.training, microBatches } };
  const passes: OptimizeOptions = { products: device === "cpu" ? "fused" : "plain" };
  const traced = traceProgram(step.program);
  const optimised = optimize(traced, passes);
  const inspection = await inspected(request, step, optimised);
  const peakOf = (graph: Graph): PeakMemory => predictPeak(graph, { heldOn: device === "cpu" ? "host" : "device" });
  const memory = peakOf(optimised);
  const needOf = (size: number): number =>
    (size === batchSize ? memory : peakOf(optimize(traceProgram(trainingStep(divided, size, device).program), passes)))
      .totalBytes;
  return {
    ...{ program: step.program.name, device, batchSize, microBatches, recompute: config.training.recompute },
    parameters: parameterLayout(config).dimension,
    flops: graphFlops(optimised),
    operations: operationRows({
      ...{ traced: countOperations(traced), optimised: countOperations(optimised) },
      ...(inspection === undefined ? {} : { runtime: countModelOperations(inspection.rewritten) }),
    }),
    memory: {
      ...memory,
      available,
      largestBatch: largestBatch({ batchSize, multipleOf: microBatches, available, needOf }),
    },
    ...(inspection?.profile === undefined ? {} : { profile: profileReport(inspection.profile) }),
  };
}

/** Only on the processor: other providers have profiles of their own kind, and lose devices that a daemon may be using. */
async function inspected(
  { device, threads, profileSteps, signal }: ExplainRequest,
  { program, inputs }: TrainingStep,
  optimised: Graph,
): Promise<SessionInspection | undefined> {
  if (device !== "cpu") {
    if (profileSteps === undefined) return undefined;
    throw new ConsiliumError("config-invalid", `time is measured on the processor only, not on ${device}`, {
      remedy: "leave out --profile, or use --device cpu",
    });
  }
  return inspectSession({
    ...{ program, model: modelOf(optimised) },
    ...(threads === undefined ? {} : { threads }),
    ...(profileSteps === undefined ? {} : { profile: { steps: profileSteps, inputs: inputs(), signal } }),
  });
}

interface TrainingStep {
  readonly program: Program;
  readonly microBatches: number;
  /** First weights, moments of zero and random images. */
  readonly inputs: () => HostTensors;
}

function trainingStep(config: RunConfig, batchSize: number, device: DeviceName): TrainingStep {
  const { seed } = config;
  const sized = { ...config, training: { ...config.training, batchSize } };
  const options = runStep(sized, { device, precision: "float32" });
  const { method, layout } = options;
  const program = trainStepProgram(options);
  return {
    program,
    microBatches: options.microBatches,
    inputs: () => ({
      ...mapSpecs(program.inputs, (spec) => filling(spec, randomFor("explain", seed))),
      ...method.drawExtraInputs(batchSize, randomFor("explain", seed)),
      ...parameterTensors(layout, initialVector(layout, seed)),
    }),
  };
}

function parameterTensors({ parameters }: ParameterLayout, vector: Float32Array): HostTensors {
  return Object.fromEntries(
    parameters.map(({ name, shape, offset, size }) => {
      return [parameterInput(name), { shape, data: vector.subarray(offset, offset + size) }];
    }),
  );
}

function mapSpecs(specs: TensorSpecs, change: (spec: TensorSpec) => HostTensor): HostTensors {
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, change(spec)]));
}

/** Random pixels, scalars of one, and zeros: what an optimiser or a teacher holds does not change the time. */
function filling({ shape, dtype }: TensorSpec, random: Random): HostTensor {
  const length = sizeOf(shape);
  if (dtype === "uint8") return { shape, data: Uint8Array.from({ length }, () => random.integer(256)) };
  if (dtype === "int32") return { shape, data: new Int32Array(length) };
  return { shape, data: new Float32Array(length).fill(shape.length === 0 ? 1 : 0) };
}
