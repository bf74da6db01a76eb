import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { randomFor } from "@consilium/shared/random.js";
import { expect, it } from "vitest";
import { tf } from "../model/tf.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import type { Engine } from "./program.js";
import { Stepper } from "./stepper.js";
import { configOf, drawBatch, smallMethods, stepOptions } from "./testing/method-gradients.js";
import { traceProgram } from "./trace/trace-program.js";
import { trainStepProgram } from "./train-step.js";
import { freshState } from "./training-state.js";

/** What V8 has not collected yet is no leak. */
function collector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
const collectGarbage = collector();

const options = stepOptions(configOf({ model: { imageSize: 32, patchSize: 8 }, method: smallMethods.mae }), 4);
const program = trainStepProgram(options);
const batch = drawBatch(options, randomFor("leaks"));
const scalars = { learningRate: 1e-3, weightDecay: 0.05 };

async function stepperOn(engine: Engine): Promise<() => Promise<unknown>> {
  const state = freshState(options, initialVector(options.layout, 1));
  const stepper = await Stepper.start(await engine.compile(program), options, state);
  return () => stepper.take(batch, scalars);
}

/** Least squares over points at 0, 1, 2, …. */
function slope(values: readonly number[]): number {
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const [middle, average] = [(values.length - 1) / 2, mean(values)];
  const moments = values.map((value, at) => [(at - middle) * (value - average), (at - middle) ** 2] as const);
  return mean(moments.map(([joint]) => joint)) / mean(moments.map(([, square]) => square));
}

it("compiled steps do not grow the process", { timeout: 120_000 }, async () => {
  const step = await stepperOn(compiledCpuEngine({ threads: 1 }));
  const resident: number[] = [];
  for (let at = 0; at < 200; at++) {
    await step();
    if (at % 5 === 4) collectGarbage();
    resident.push(process.memoryUsage.rss() / 2 ** 20);
  }
  // MiB per step; a batch has 0.2 MiB of pixels as float32 and a state 5 MiB, so that keeping either would show.
  expect(slope(resident.slice(100))).toBeLessThan(0.1);
});

it.each([
  ["compiled", compiledCpuEngine({ threads: 1 })],
  ["eager", eagerEngine()],
])("%s steps leave no tensors behind", { timeout: 120_000 }, async (_name, engine) => {
  const step = await stepperOn(engine);
  await step();
  const { numTensors, numDataBuffers } = tf.memory();
  for (let at = 0; at < 3; at++) await step();
  expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers });
});

it("tracing leaves no tensors behind", () => {
  traceProgram(program);
  const { numTensors, numDataBuffers } = tf.memory();
  traceProgram(program);
  expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers });
});
