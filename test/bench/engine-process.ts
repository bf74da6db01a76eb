import { createInterface } from "node:readline";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { randomFor } from "@consilium/shared/random.js";
import { deviceChoices, type EngineRequest, type OpenedEngine } from "@consilium/site-agent/engine/devices/device.js";
import { openEngine } from "@consilium/site-agent/engine/devices/open-engine.js";
import { microBatchesFor } from "@consilium/site-agent/engine/micro-batches.js";
import { runStep } from "@consilium/site-agent/engine/run-step.js";
import { trainStepProgram } from "@consilium/site-agent/engine/train-step.js";
import type { HostTensor, HostTensors, TensorSpec } from "@consilium/site-agent/model/tensors.js";
import { z } from "zod";
import { type EngineShape, type MeasuredStep, measuredStep } from "./engine-shape.js";

/** Entry: takes training steps on one fixed batch of random pixels. See step-process.ts for what it is told and says. */

const shape = JSON.parse(process.argv[2]!) as EngineShape;
const measured = measuredStep(shape);
const random = randomFor("bench");

function pixels({ shape: extents }: TensorSpec): HostTensor {
  return { shape: extents, data: Uint8Array.from({ length: sizeOf(extents) }, () => random.integer(256)) };
}

/** A device that cannot be had is said in words. */
async function open(request: EngineRequest): Promise<OpenedEngine> {
  try {
    return await openEngine(request);
  } catch (thrown) {
    const { message, remedy } = asConsiliumError(thrown);
    console.error(`error: ${message}${remedy === undefined ? "" : `\n  → ${remedy}`}`);
    process.exit(1);
  }
}

const scalars: Readonly<Record<string, number>> = { learningRate: 1e-4, weightDecay: 0.05, step: 1, lossScale: 1 };

/** State from its initial values, everything else from the batch. */
function inputsOf({ layout, method }: MeasuredStep, inputs: Readonly<Record<string, TensorSpec>>) {
  const vector = initialVector(layout, 1);
  const [state, batch]: Record<string, HostTensor>[] = [{}, { ...method.drawExtraInputs(shape.batch, random) }];
  const placed = new Map(layout.parameters.map((parameter) => [`parameter/${parameter.name}`, parameter]));
  for (const [name, spec] of Object.entries(inputs)) {
    const parameter = placed.get(name);
    if (parameter !== undefined) {
      const { offset, size } = parameter;
      state![name] = { shape: spec.shape, data: vector.subarray(offset, offset + size) };
    } else if (name.includes("/")) state![name] = { shape: spec.shape, data: new Float32Array(sizeOf(spec.shape)) };
    else if (name in scalars) batch![name] = { shape: [], data: Float32Array.of(scalars[name]!) };
    else if (spec.dtype === "uint8") batch![name] = pixels(spec);
  }
  return { state: state! as HostTensors, batch: batch! as HostTensors };
}

const { engine, device, precision } = await open({
  device: z.enum(deviceChoices).parse(shape.device),
  precision: z.enum(["auto", "float32", "mixed"]).parse(shape.precision),
  ...(shape.threads === 0 ? {} : { threads: shape.threads }),
});
const { method, layout } = measured;
const options = runStep(measured.config, { device, precision });
const microBatches = microBatchesFor({ config: measured.config, separable: method.separable, device });
const program = trainStepProgram({ ...options, method, layout, microBatches });
const startedAt = performance.now();
const compiled = await engine.compile(program);
const compileMs = performance.now() - startedAt;
const { state, batch } = inputsOf(measured, program.inputs);
const held = await compiled.hold(state);
const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ ready: true, compileMs, device, precision, microBatches });

async function steps(count: number): Promise<void> {
  const stepMs: number[] = [];
  let loss = 0;
  for (let step = 0; step < count; step++) {
    const began = performance.now();
    const outputs = await held.advance(batch, () => true);
    loss = outputs["loss"]!.data[0]!;
    stepMs.push(performance.now() - began);
  }
  say({ stepMs, loss });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") say({ peakRssMiB: process.resourceUsage().maxRSS / 1024 });
  else await steps(Number(line));
}
await held.release();
await compiled.release();
