import { asConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensors } from "../../model/tensors.js";
import { eagerEngine } from "../eager-engine.js";
import type { Engine } from "../program.js";
import type { DeviceName, OpenedEngine } from "./device.js";
import { layerCases, type StepCase, stepCase, type TestCase } from "./self-test-programs.js";

/** How far a device is from the reference, as a share of the largest value. */
export interface SelfTestCheck {
  readonly name: string;
  readonly difference: number;
  readonly limit: number;
  readonly passed: boolean;
}

export interface SelfTestReport {
  readonly passed: boolean;
  readonly checks: readonly SelfTestCheck[];
  /** Absent when a step could not be run at all. */
  readonly speed?: SelfTestSpeed;
  /** Why the test ended early. */
  readonly failure?: { readonly message: string; readonly remedy?: string };
}

/** Of a step so small that it shows the cost of starting work on the device, not what the device can do. */
export interface SelfTestSpeed {
  readonly step: string;
  readonly batchSize: number;
  readonly stepsPerSecond: number;
  readonly firstLoss: number;
  readonly lastLoss: number;
}

export interface SelfTestParts {
  /** Milliseconds; only differences count. */
  readonly now: () => number;
  /** Told what is tested next. */
  readonly onCase?: (name: string) => void;
}

type Tested = Pick<OpenedEngine, "engine" | "device" | "precision">;

interface Limits {
  readonly loss: number;
  readonly values: number;
}

/** Single precision on a processor; GPUs may round the factors of products to 10 bits; mixed precision does so always. */
function limitsOf(device: DeviceName, precision: OpenedEngine["precision"]): Limits {
  if (precision === "mixed") return { loss: 1e-2, values: 5e-2 };
  return device === "cpu" ? { loss: 1e-5, values: 1e-4 } : { loss: 1e-3, values: 5e-3 };
}

/**
 * Compares layers and whole training steps with the reference engine, then takes steps for about a second.
 * Never throws: what the device throws is part of the report.
 */
export async function selfTest(tested: Tested, { now, onCase = () => {} }: SelfTestParts): Promise<SelfTestReport> {
  const { precision } = tested;
  const limits = limitsOf(tested.device, precision);
  const checks: SelfTestCheck[] = [];
  try {
    for (const layer of layerCases()) {
      onCase(layer.name);
      const { expected, actual } = await runBoth(layer, tested.engine);
      checks.push(
        check(
          layer.name,
          worst(expected, actual, () => true),
          limits.values,
        ),
      );
    }
    for (const step of [stepCase("simclr", precision), stepCase("mae", precision)]) {
      onCase(step.name);
      checks.push(...stepChecks(step, await runBoth(step, tested.engine), limits));
    }
    onCase("speed");
    const speed = await measure(stepCase("simclr", precision), tested.engine, now);
    return { passed: checks.every(({ passed }) => passed) && speed.lastLoss < speed.firstLoss, checks, speed };
  } catch (thrown) {
    const { message, remedy } = asConsiliumError(thrown);
    return { passed: false, checks, failure: { message, ...(remedy === undefined ? {} : { remedy }) } };
  }
}

interface BothRuns {
  readonly expected: HostTensors;
  readonly actual: HostTensors;
}

async function runBoth({ program, inputs }: TestCase, engine: Engine): Promise<BothRuns> {
  const reference = await eagerEngine().compile(program);
  const compiled = await engine.compile(program);
  try {
    return { expected: await reference.run(inputs), actual: await compiled.run(inputs) };
  } finally {
    await compiled.release();
  }
}

function stepChecks({ name }: StepCase, { expected, actual }: BothRuns, limits: Limits): SelfTestCheck[] {
  // From zero, the first moment is a tenth of the gradient.
  const gradients = (output: string) => output.startsWith("moment1/");
  return [
    check(
      `${name}: loss`,
      worst(expected, actual, (output) => output === "loss"),
      limits.loss,
    ),
    check(`${name}: gradients`, worst(expected, actual, gradients), limits.values),
  ];
}

function check(name: string, difference: number, limit: number): SelfTestCheck {
  return { name, difference, limit, passed: difference <= limit };
}

/** Some gradients are zero but for rounding: a tensor counts with at least this share of the largest one. */
const smallestShare = 1e-3;

/** Largest difference in one output, relative to the largest value of that output. Infinite for what is not a number. */
function worst(expected: HostTensors, actual: HostTensors, wanted: (name: string) => boolean): number {
  const names = Object.keys(expected).filter(wanted);
  const largest = names.map((name) => magnitude(expected[name]!.data));
  const floor = Math.max(...largest) * smallestShare;
  const differences = names.map((name, index) => {
    return distance(expected[name]!.data, actual[name]?.data ?? []) / Math.max(largest[index]!, floor, 1e-12);
  });
  return Math.max(...differences);
}

function magnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let index = 0; index < values.length; index++) largest = Math.max(largest, Math.abs(values[index]!));
  return largest;
}

function distance(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  if (expected.length !== actual.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let index = 0; index < expected.length; index++) {
    const gap = Math.abs(expected[index]! - actual[index]!);
    largest = Math.max(largest, Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap);
  }
  return largest;
}

const measuredMs = 1000;
const [fewestSteps, mostSteps] = [3, 200];

/** Steps on one batch with the state held by the engine, as in training. */
async function measure(step: StepCase, engine: Engine, now: () => number): Promise<SelfTestSpeed> {
  const compiled = await engine.compile(step.program);
  const held = await compiled.hold(step.state);
  try {
    const batch = Object.fromEntries(Object.entries(step.inputs).filter(([name]) => !(name in step.state)));
    const losses: number[] = [];
    const take = async (): Promise<void> => {
      const inputs = { ...batch, step: { shape: [], data: Float32Array.of(losses.length + 1) } };
      const outputs = await held.advance(inputs, () => true);
      losses.push(outputs["loss"]?.data[0] ?? Number.NaN);
    };
    // The first step may compile shaders or load kernels.
    await take();
    const startedMs = now();
    let steps = 0;
    while (steps < fewestSteps || (now() - startedMs < measuredMs && steps < mostSteps)) {
      await take();
      steps++;
    }
    const seconds = Math.max(now() - startedMs, 1) / 1000;
    return {
      ...{ step: step.name, batchSize: step.batchSize, stepsPerSecond: steps / seconds },
      ...{ firstLoss: losses[0] ?? Number.NaN, lastLoss: losses.at(-1) ?? Number.NaN },
    };
  } finally {
    await held.release();
    await compiled.release();
  }
}
