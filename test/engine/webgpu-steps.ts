/**
 * A process that takes training steps on WebGPU and on the processor side by side and sends its parent what it saw.
 * Vulkan reads which driver to load when the process begins.
 */
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import type { Transfers } from "@consilium/site-agent/engine/devices/gpu-transfers.js";
import { webgpuEngine } from "@consilium/site-agent/engine/devices/webgpu.js";
import { trainStepProgram } from "@consilium/site-agent/engine/train-step.js";
import type { HostTensor, HostTensors } from "@consilium/site-agent/model/tensors.js";
import { createMethod } from "@consilium/site-agent/ssl/methods.js";

export interface StepSeen {
  readonly loss: number;
  readonly expectedLoss: number;
  readonly finite: number;
  readonly transfers: Transfers;
}

export interface StepsSeen {
  readonly steps: readonly StepSeen[];
  readonly stateBytes: number;
  /** Bytes of what is no state: one batch with its scalars. */
  readonly batchBytes: number;
  /** Of what all steps together changed, how much is different on the two devices (L2). */
  readonly drift: number;
  /** A step whose loss is undefined: what it says of itself, and whether the state is what it was, bit by bit. */
  readonly notFinite: { readonly finite: number; readonly kept: boolean };
}

const batchSize = 4;
const stepCount = 5;
const methods: Readonly<Record<string, RunConfig["method"]>> = {
  simclr: runMethod({ name: "simclr" }),
  mae: runMethod({ name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 }),
};

function configFor(method: object): RunConfig {
  return runConfigSchema.parse({
    name: "webgpu",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
    method,
    optimizer: { learningRate: 1e-3, gradientClip: 3 },
    rounds: 1,
  });
}

function runMethod(method: object): RunConfig["method"] {
  return configFor(method).method;
}

async function takeSteps(name: string): Promise<StepsSeen> {
  const config = configFor(methods[name]!);
  const layout = parameterLayout(config);
  const method = createMethod(config);
  const program = trainStepProgram({ method, layout, optimizer: config.optimizer, batchSize });
  const vector = initialVector(layout, 1);
  const state: Record<string, HostTensor> = {};
  for (const { name: parameter, shape, offset, size } of layout.parameters) {
    state[`parameter/${parameter}`] = { shape, data: vector.slice(offset, offset + size) };
  }
  for (const [input, { shape }] of Object.entries(program.inputs)) {
    if (input.startsWith("moment")) state[input] = { shape, data: new Float32Array(sizeOf(shape)) };
  }
  const scalars: Readonly<Record<string, number>> = { learningRate: 1e-3, weightDecay: 0.05 };
  const batchFor = (step: number): HostTensors => {
    const random = randomFor(`batch ${step}`);
    const batch: Record<string, HostTensor> = { ...method.drawExtraInputs(batchSize, random) };
    for (const [input, { shape, dtype }] of Object.entries(program.inputs)) {
      if (input in state || input in batch) continue;
      const draw = () => (shape.length === 0 ? (scalars[input] ?? step) : random.integer(256));
      const numbers = Array.from({ length: sizeOf(shape) }, draw);
      const data = dtype === "uint8" ? Uint8Array.from(numbers) : Float32Array.from(numbers);
      batch[input] = { shape, data };
    }
    return batch;
  };

  const engine = webgpuEngine();
  const [device, host] = [await engine.compile(program), await compiledCpuEngine({ threads: 1 }).compile(program)];
  const [held, expected] = [await device.hold(state), await host.hold(state)];
  const steps: StepSeen[] = [];
  for (let step = 1; step <= stepCount; step++) {
    const batch = batchFor(step);
    const seen = await held.advance(batch, () => true);
    const reference = await expected.advance(batch, () => true);
    steps.push({
      loss: numberIn(seen, "loss"),
      expectedLoss: numberIn(reference, "loss"),
      finite: numberIn(seen, "finite"),
      transfers: engine.transfers,
    });
  }
  const drift = driftOf(state, await held.read(), await expected.read());
  await held.release();

  const broken = await device.hold(withUndefined(state));
  const refused = await broken.advance(batchFor(1), () => false);
  const kept = sameBits(withUndefined(state), await broken.read());
  // Releases the state as well.
  await device.release();
  await host.release();
  return {
    steps,
    stateBytes: bytesOf(state),
    batchBytes: bytesOf(batchFor(1)),
    drift,
    notFinite: { finite: numberIn(refused, "finite"), kept },
  };
}

function numberIn(tensors: HostTensors, name: string): number {
  return tensors[name]?.data[0] ?? Number.NaN;
}

/** The first element of every tensor is no number. */
function withUndefined(tensors: HostTensors): HostTensors {
  const entries = Object.entries(tensors).map(([name, { shape, data }]): [string, HostTensor] => {
    return [name, { shape, data: Float32Array.from(data, (value, place) => (place === 0 ? Number.NaN : value)) }];
  });
  return Object.fromEntries(entries);
}

function bytesOf(tensors: HostTensors): number {
  return Object.values(tensors).reduce((bytes, { data }) => bytes + data.byteLength, 0);
}

function driftOf(start: HostTensors, actual: HostTensors, expected: HostTensors): number {
  let [gap, change] = [0, 0];
  for (const [name, { data }] of Object.entries(start)) {
    data.forEach((before, place) => {
      const wanted = expected[name]!.data[place]!;
      gap += (actual[name]!.data[place]! - wanted) ** 2;
      change += (wanted - before) ** 2;
    });
  }
  return Math.sqrt(gap / change);
}

function sameBits(a: HostTensors, b: HostTensors): boolean {
  return Object.entries(a).every(([name, { data }]) =>
    data.every((value, place) => Object.is(value, b[name]!.data[place])),
  );
}

const seen: Record<string, StepsSeen> = {};
for (const name of Object.keys(methods)) seen[name] = await takeSteps(name);
process.send?.(seen);
