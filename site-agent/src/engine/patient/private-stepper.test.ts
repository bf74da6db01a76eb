import { type Entropy, systemEntropy } from "@consilium/shared/entropy.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import type { HostData, HostTensors } from "../../model/tensors.js";
import { compiledCpuEngine } from "../compiled-engine.js";
import { eagerEngine } from "../eager-engine.js";
import type { StepOptimizer } from "../optimizer.js";
import type { Engine } from "../program.js";
import {
  configOf,
  drawBatch,
  gradientInputs,
  gradientProgram,
  methodScalars,
  smallMethods,
  stepOptions,
} from "../testing/method-gradients.js";
import { freshState, type TrainingState } from "../training-state.js";
import { patientInputs } from "./patient-gradients.js";
import { compilePrivateStep, type PrivateStepOptions, PrivateStepper } from "./private-stepper.js";

const model = { imageSize: 16, patchSize: 8 };
const mae = configOf({ model, method: smallMethods.mae });
const slots = 2;
const imagesPerPatient = 2;
const expectedPatients = 4;
/** The parameters move by exactly the mean gradient. */
const descent: StepOptimizer = { name: "sgd", momentum: 0 };
const compiled = compiledCpuEngine({ threads: 1 });

function optionsFor(config = mae, changes: Partial<PrivateStepOptions> = {}): PrivateStepOptions {
  const { method, layout } = stepOptions(config, 1);
  const fixed = { slots, imagesPerPatient, expectedPatients, clip: 0.5, noiseMultiplier: 0 };
  return { method, layout, optimizer: descent, ...fixed, ...changes };
}

interface Taking {
  readonly config?: typeof mae;
  readonly changes?: Partial<PrivateStepOptions>;
  readonly patients?: readonly HostTensors[];
  readonly engine?: Engine;
  readonly steps?: number;
  readonly entropy?: Entropy;
  readonly learningRate?: number;
}

async function take({ config = mae, changes = {}, patients = [], engine = compiled, ...rest }: Taking) {
  const { steps = 1, entropy = systemEntropy, learningRate = 1 } = rest;
  const options = optionsFor(config, changes);
  const programs = await compilePrivateStep(engine, options);
  const state = freshState(options, initialVector(options.layout, 3));
  const stepper = new PrivateStepper(programs, options, { state, entropy });
  const scalars = { ...methodScalars(options), learningRate, weightDecay: 0 };
  const outcomes = [];
  for (let step = 0; step < steps; step++) {
    outcomes.push(...(await stepper.takeCall([{ batch: batchOf(patients, options), scalars }])));
  }
  return { before: state, after: await stepper.state(), outcomes };
}

const patientsOf = (count: number, config = mae): HostTensors[] =>
  Array.from({ length: count }, (_, patient) =>
    drawBatch(stepOptions(config, imagesPerPatient), randomFor("patient", patient)),
  );

/** The patients' rows one after the other, then slots of zeros, and who is there. */
function batchOf(patients: readonly HostTensors[], options: PrivateStepOptions): HostTensors {
  const runs = Math.ceil(patients.length / slots);
  const present = Float32Array.from({ length: runs * slots }, (_, slot) => (slot < patients.length ? 1 : 0));
  const batch: Record<string, HostTensors[string]> = { present: { shape: [runs * slots], data: present } };
  const specs = patientInputs(options);
  for (const name of Object.keys(patients[0] ?? {})) {
    const { shape, dtype } = specs[name]!;
    const data = empty(dtype, runs * sizeOf(shape));
    patients.forEach((one, index) => {
      data.set(one[name]!.data, (index * sizeOf(shape)) / slots);
    });
    batch[name] = { shape: [runs * (shape[0] ?? 1), ...shape.slice(1)], data };
  }
  return batch;
}

function empty(dtype: string, length: number): HostData {
  if (dtype === "float32") return new Float32Array(length);
  return dtype === "uint8" ? new Uint8Array(length) : new Int32Array(length);
}

/** The definition, one patient after the other, in double precision after differentiation. */
async function clippedSum(patients: readonly HostTensors[], clip: number, config = mae): Promise<Float64Array> {
  const { layout } = stepOptions(config, 1);
  const program = await eagerEngine().compile(gradientProgram(config, imagesPerPatient));
  const sum = new Float64Array(layout.dimension);
  for (const patient of patients) {
    const outputs = await program.run({ ...gradientInputs(config, imagesPerPatient), ...patient });
    const flat = new Float64Array(layout.dimension);
    for (const { name, offset } of layout.parameters) flat.set(outputs[`gradient/${name}`]?.data ?? [], offset);
    const factor = Math.min(1, clip / Math.hypot(...chunkNorms(flat)));
    flat.forEach((value, index) => {
      sum[index]! += factor * value;
    });
  }
  return sum;
}

function chunkNorms(values: Float64Array): number[] {
  return Array.from({ length: Math.ceil(values.length / 1000) }, (_, index) =>
    Math.hypot(...values.subarray(1000 * index, 1000 * (index + 1))),
  );
}

const norm = (values: Float64Array): number => Math.hypot(...chunkNorms(values));

/** What the parameters moved by, times the expected number of patients: the sum that was descended along. */
function sumOf({ before, after }: { before: TrainingState; after: TrainingState }): Float64Array {
  return Float64Array.from(after.parameters, (value, i) => expectedPatients * (before.parameters[i]! - value));
}

function distance(a: Float64Array, b: Float64Array): number {
  return norm(a.map((value, index) => value - b[index]!)) / norm(b);
}

describe.each([
  ["compiled", compiled],
  ["eager", eagerEngine()],
])("a private step without noise (%s)", (_name, engine) => {
  it.each([
    ["clips every patient", 0.05],
    ["clips some", 0.9],
    ["clips nobody", 1000],
  ])(
    "descends along the sum of each patient's clipped gradient, over whole and half-filled runs, and %s",
    async (_, clip) => {
      const patients = patientsOf(3);
      const taken = await take({ patients, engine, changes: { clip } });
      expect(distance(sumOf(taken), await clippedSum(patients, clip))).toBeLessThan(3e-4);
      expect(taken.outcomes[0]).toMatchObject({ finite: true, scaleLowered: false });
    },
  );

  it("counts a patient whose gradient is no number as nothing", async () => {
    const patients = patientsOf(3);
    const broken = { ...patients[1]! };
    const [name] = Object.keys(broken).filter((key) => broken[key]!.data instanceof Float32Array);
    broken[name!] = { ...broken[name!]!, data: new Float32Array(broken[name!]!.data.length).fill(Number.NaN) };
    const taken = await take({ patients: [patients[0]!, broken, patients[2]!], engine });
    expect(distance(sumOf(taken), await clippedSum([patients[0]!, patients[2]!], 0.5))).toBeLessThan(3e-4);
  });
});

const optimizers: readonly StepOptimizer[] = [
  { name: "adamw", beta1: 0.9, beta2: 0.95, gradientClip: 0.1, clipping: "global" },
  { name: "lars", momentum: 0.9, trustCoefficient: 0.01 },
  { name: "sgd", momentum: 0.9 },
];

it.each(optimizers)("moves alike on both engines with $name, over several steps", async (optimizer) => {
  const shared = { patients: patientsOf(3), steps: 3, learningRate: 1e-3, changes: { optimizer } };
  const [a, b] = [await take({ ...shared, engine: compiled }), await take({ ...shared, engine: eagerEngine() })];
  expect(distance(sumOf(a), sumOf(b))).toBeLessThan(0.01);
  expect(a.after.optimizerStep).toBe(3);
});

it.each([
  ["byol", { ...smallMethods.byol, headNorm: "layer" }],
  ["gmml", { ...smallMethods.gmml, alienShare: 0 }],
  ["colorme", smallMethods.colorme],
])("takes %s, whose teacher or decoder is no concern of the noise", async (_name, method) => {
  const config = configOf({ model, method });
  const patients = patientsOf(2, config);
  const taken = await take({ config, patients, changes: { clip: 0.2 } });
  expect(distance(sumOf(taken), await clippedSum(patients, 0.2, config))).toBeLessThan(5e-4);
});

describe("the noise", () => {
  const changes = { noiseMultiplier: 1.5, clip: 2 };
  const deviation = (1.5 * 2) / expectedPatients;

  it("is there without any patient, with deviation σC/B in every parameter, and no mean", async () => {
    const { before, after, outcomes } = await take({ changes });
    const noise = Float64Array.from(before.parameters, (value, i) => value - after.parameters[i]!);
    const moved = noise.filter((value) => value !== 0);
    const options = optionsFor();
    const { trained } = await compilePrivateStep(compiled, options);
    const count = options.layout.parameters
      .filter(({ name }) => trained.includes(name))
      .reduce((n, { size }) => n + size, 0);
    expect(count).toBeGreaterThan(20_000);
    expect(moved.length / count).toBeGreaterThan(0.99);
    const variance = moved.reduce((sum, value) => sum + value * value, 0) / count;
    // Five deviations of a variance estimated from so many values.
    expect(Math.abs(variance / deviation ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    expect(Math.abs(moved.reduce((sum, value) => sum + value, 0) / count)).toBeLessThan(
      (5 * deviation) / Math.sqrt(count),
    );
    expect(outcomes[0]).toMatchObject({ finite: true, loss: 0 });
  });

  it("is added to the clipped sum, new in every step and every run", async () => {
    const patients = patientsOf(3);
    const exact = await clippedSum(patients, 2);
    const one = sumOf(await take({ patients, changes }));
    const other = sumOf(await take({ patients, changes }));
    const [first, second] = [one, other].map((sum) => sum.map((value, index) => value - exact[index]!));
    const expected = 3 * Math.sqrt(first!.filter((value) => Math.abs(value) > 1e-3).length);
    expect(Math.abs(norm(first!) / expected - 1)).toBeLessThan(0.05);
    const cosine = first!.reduce((sum, value, i) => sum + value * second![i]!, 0) / (norm(first!) * norm(second!));
    expect(Math.abs(cosine)).toBeLessThan(0.05);
    const steps = await take({ steps: 2, changes });
    expect(norm(sumOf(steps)) / norm(sumOf(await take({ changes })))).toBeGreaterThan(1.3);
  });
});
