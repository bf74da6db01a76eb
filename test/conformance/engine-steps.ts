import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { randomFor } from "@consilium/shared/random.js";
import { learningRateAt, weightDecayAt } from "@consilium/shared/schedules.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { lossGradients } from "@consilium/site-agent/engine/loss-gradients.js";
import { runStep } from "@consilium/site-agent/engine/run-step.js";
import { carriedInput, parameterInput, stepInputs, stepTensors } from "@consilium/site-agent/engine/step-inputs.js";
import { Stepper, type StepRequest } from "@consilium/site-agent/engine/stepper.js";
import { type TrainStepOptions, trainStepProgram } from "@consilium/site-agent/engine/train-step.js";
import { freshState, stateTensors, type TrainingState } from "@consilium/site-agent/engine/training-state.js";
import type { HostTensor, HostTensors } from "@consilium/site-agent/model/tensors.js";
import { drawBatch } from "./batches.js";
import { stepCount } from "./cases.js";

/** A run's first steps on the compiled engine, and what they began with. */
export interface EngineSteps {
  readonly requests: readonly StepRequest[];
  /** Factors on learning rates by parameter. */
  readonly rates: Readonly<Record<string, number>>;
  /** "parameter/…" and "carried/…". */
  readonly before: HostTensors;
  /** The same after the last step, "loss/…" of each step and "gradient/…" of the first, before clipping. */
  readonly after: HostTensors;
}

/** Of what is added to biases, norms and scales. */
const vectorStir = 0.1;

/**
 * The first weights of a run with as much noise again. At first all images look alike to a transformer, and most biases are
 * zero: differences between images, which batch norms blow up, and gradients would be near the rounding error.
 */
function stirred({ layout }: TrainStepOptions, seed: number): Float32Array {
  const vector = initialVector(layout, seed);
  for (const { name, shape, offset, size } of layout.parameters) {
    const random = randomFor("conformance", seed, "stir", name);
    const std = shape.length > 1 ? Math.sqrt(shape[0]! / size) : vectorStir;
    for (let at = offset; at < offset + size; at++) vector[at]! += std * random.normal();
  }
  return vector;
}

function requestsOf(config: RunConfig, { method }: TrainStepOptions): StepRequest[] {
  return Array.from({ length: stepCount }, (_, step) => {
    const own = Object.entries(method.scalars ?? {}).map(([name, at]) => [name, at(step)]);
    const rates = { learningRate: learningRateAt(step, config), weightDecay: weightDecayAt(step, config) };
    const random = randomFor("conformance", config.seed, "batch", step);
    return { batch: drawBatch(config, method, random), scalars: { ...Object.fromEntries(own), ...rates } };
  });
}

async function compiledSteps(options: TrainStepOptions, start: TrainingState, requests: readonly StepRequest[]) {
  const compiled = await compiledCpuEngine().compile(trainStepProgram(options));
  const stepper = await Stepper.start(compiled, options, start);
  try {
    const losses: number[] = [];
    for (const { batch, scalars } of requests) losses.push((await stepper.take(batch, scalars)).loss);
    return { losses, state: await stepper.state() };
  } finally {
    await stepper.release();
    await compiled.release();
  }
}

/** Of the loss, by parameter, without the optimiser. */
async function lossGradientsOf(options: TrainStepOptions, start: TrainingState, { batch, scalars }: StepRequest) {
  const program = await compiledCpuEngine().compile({
    name: "gradients",
    inputs: stepInputs(options),
    build: (inputs) => lossGradients(options, stepTensors(options, inputs)).gradients,
  });
  const numbers = Object.entries({ ...scalars, step: 1 }).map(([name, value]): [string, HostTensor] => [
    name,
    { shape: [], data: Float32Array.of(value) },
  ]);
  const given = new Set(Object.keys(stepInputs(options)));
  const inputs = Object.entries({ ...stateTensors(options, start), ...batch, ...Object.fromEntries(numbers) });
  try {
    return await program.run(Object.fromEntries(inputs.filter(([name]) => given.has(name))));
  } finally {
    await program.release();
  }
}

/** Parameters and carried tensors; the optimiser's own state is no part of the comparison. */
function comparedState(options: TrainStepOptions, state: TrainingState): HostTensors {
  const prefixes = [parameterInput(""), carriedInput("")];
  const tensors = Object.entries(stateTensors(options, state));
  return Object.fromEntries(tensors.filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix))));
}

export async function engineSteps(config: RunConfig): Promise<EngineSteps> {
  const options: TrainStepOptions = runStep(config, { device: "cpu", precision: "float32" });
  const { layout, rateOf = () => 1 } = options;
  const start = freshState(options, stirred(options, config.seed));
  const requests = requestsOf(config, options);
  const { losses, state } = await compiledSteps(options, start, requests);
  const gradients = Object.entries(await lossGradientsOf(options, start, requests[0]!));
  return {
    requests,
    rates: Object.fromEntries(layout.parameters.map(({ name }) => [name, rateOf(name)])),
    before: comparedState(options, start),
    after: {
      ...comparedState(options, state),
      ...Object.fromEntries(losses.map((loss, step) => [`loss/${step}`, { shape: [1], data: Float32Array.of(loss) }])),
      ...Object.fromEntries(gradients.map(([name, gradient]) => [`gradient/${name}`, gradient])),
    },
  };
}
