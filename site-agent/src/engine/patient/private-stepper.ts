import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { addGaussianNoise, noiseStream } from "@consilium/shared/privacy/noise.js";
import type { HostTensor, HostTensors, TensorSpecs } from "../../model/tensors.js";
import { outputsOf } from "../compiled-model.js";
import { gradientPrefix } from "../loss-gradients.js";
import type { CompiledProgram, Engine } from "../program.js";
import type { StepOutcome, StepRequest, StepTaker } from "../stepper.js";
import { traceProgram } from "../trace/trace-program.js";
import { type StateShape, stateFrom, stateTensors, type TrainingState } from "../training-state.js";
import { type PatientGradientOptions, patientGradientsProgram, presentInput } from "./patient-gradients.js";
import { type PrivateUpdateOptions, privateUpdateProgram } from "./private-update.js";

/** What makes steps private, beside the programs. */
export interface PrivateStepOptions
  extends PatientGradientOptions,
    Pick<PrivateUpdateOptions, "rateOf" | "expectedPatients"> {
  /** σ: the noise's standard deviation over the clip. Zero only where tests compare with what has no noise. */
  readonly noiseMultiplier: number;
}

/** The compiled halves of a private step, between which noise is added on the host. */
export interface PrivatePrograms {
  readonly options: PrivateStepOptions;
  readonly gradients: CompiledProgram;
  readonly update: CompiledProgram;
  /** What each half reads. */
  readonly inputs: { readonly gradients: TensorSpecs; readonly update: TensorSpecs };
  /** Parameters that the loss depends on. */
  readonly trained: readonly string[];
}

/** @param describe what decides the programs, for the cache; absent: never cached */
export async function compilePrivateStep(
  engine: Engine,
  options: PrivateStepOptions,
  describe?: (half: string) => string,
): Promise<PrivatePrograms> {
  const gradientsProgram = patientGradientsProgram(options);
  const trained = outputsOf(traceProgram(gradientsProgram))
    .filter(({ name }) => name.startsWith(gradientPrefix))
    .map(({ name }) => name.slice(gradientPrefix.length));
  const updateProgram = privateUpdateProgram({ ...options, trained });
  const described = (half: string) => (describe === undefined ? {} : { description: describe(half) });
  const gradients = await engine.compile({ ...gradientsProgram, ...described("gradients") });
  const update = await engine.compile({ ...updateProgram, ...described("update") });
  const inputs = { gradients: gradientsProgram.inputs, update: updateProgram.inputs };
  return { options, gradients, update, inputs, trained };
}

/**
 * Takes steps of DP-SGD (Abadi et al. 2016). A step's batch holds as many slots as the drawn patients need, whole runs of
 * the program each, and "present"; none where nobody was drawn, which is a step of noise alone. Noise of standard deviation
 * σC is added to the sum in double precision from a keystream of its own for each step, whose key is forgotten.
 */
export class PrivateStepper implements StepTaker {
  readonly stepsPerCall = 1;
  readonly #programs: PrivatePrograms;
  readonly #shape: StateShape;
  readonly #entropy: Entropy;
  #state: TrainingState;
  #lastLoss = 0;

  constructor(
    programs: PrivatePrograms,
    shape: StateShape,
    { state, entropy }: { state: TrainingState; entropy: Entropy },
  ) {
    this.#programs = programs;
    this.#shape = shape;
    this.#state = state;
    this.#entropy = entropy;
  }

  get optimizerStep(): number {
    return this.#state.optimizerStep;
  }

  async state(): Promise<TrainingState> {
    return this.#state;
  }

  async takeCall([request]: readonly StepRequest[]): Promise<StepOutcome[]> {
    if (request === undefined) throw new ConsiliumError("internal", "a call takes one step");
    const { update, inputs } = this.#programs;
    const sums = await this.#sums(request);
    this.#addNoise(sums.gradients);
    const { optimizerStep } = this.#state;
    const outputs = await update.run({
      ...stateTensors(this.#shape, this.#state),
      ...only(scalarTensors({ ...request.scalars, step: optimizerStep + 1 }), inputs.update),
      ...this.#meanInputs(sums.gradients),
    });
    const gradientNorm = outputs["gradientNorm"]!.data[0]!;
    // Looks at noisy values only, so that it tells nothing of a patient.
    const finite = Number.isFinite(gradientNorm);
    if (finite) this.#state = stateFrom(this.#shape, outputs, { optimizerStep: optimizerStep + 1 });
    if (sums.patients > 0) this.#lastLoss = sums.loss / sums.patients;
    return [{ loss: this.#lastLoss, finite, scaleLowered: false, gradientNorm, terms: {} }];
  }

  async release(): Promise<void> {}

  async #sums({ batch, scalars }: StepRequest): Promise<Sums> {
    const { options, gradients: program, inputs, trained } = this.#programs;
    const shapes = new Map(options.layout.parameters.map(({ name, size }) => [name, size]));
    const gradients = new Map(trained.map((name) => [name, new Float64Array(shapes.get(name)!)]));
    const sums = { gradients, loss: 0, patients: 0 };
    const known = { ...stateTensors(this.#shape, this.#state), ...scalarTensors(scalars) };
    const constant = only(known, inputs.gradients);
    const runs = (batch[presentInput]?.data.length ?? 0) / options.slots;
    for (let run = 0; run < runs; run++) {
      const outputs = await program.run({ ...constant, ...slotsOf(batch, run, inputs.gradients) });
      sums.loss += outputs["loss"]!.data[0]!;
      sums.patients += outputs["patients"]!.data[0]!;
      for (const [name, sum] of gradients) addTo(sum, outputs[gradientPrefix + name]!.data);
    }
    return sums;
  }

  #addNoise(gradients: ReadonlyMap<string, Float64Array>): void {
    const { clip, noiseMultiplier } = this.#programs.options;
    if (noiseMultiplier === 0) return;
    const key = this.#entropy.bytes(32);
    const stream = noiseStream(key);
    for (const sum of gradients.values()) addGaussianNoise(sum, noiseMultiplier * clip, stream);
    key.fill(0);
  }

  #meanInputs(gradients: ReadonlyMap<string, Float64Array>): HostTensors {
    const { parameters } = this.#programs.options.layout;
    return Object.fromEntries(
      parameters.flatMap(({ name, shape }): [string, HostTensor][] => {
        const sum = gradients.get(name);
        return sum === undefined ? [] : [[gradientPrefix + name, { shape, data: Float32Array.from(sum) }]];
      }),
    );
  }
}

/** Those tensors that a program reads. */
function only(tensors: HostTensors, specs: TensorSpecs): HostTensors {
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => name in specs));
}

function scalarTensors(scalars: Readonly<Record<string, number>>): HostTensors {
  return Object.fromEntries(
    Object.entries(scalars).map(([name, value]) => [name, { shape: [], data: Float32Array.of(value) }]),
  );
}

/** What one run of the program sees of a batch: its share of the rows, and what has none. */
function slotsOf(batch: HostTensors, run: number, specs: TensorSpecs): HostTensors {
  return Object.fromEntries(
    Object.entries(batch).map(([name, tensor]): [string, HostTensor] => {
      const { shape } = specs[name]!;
      if (shape.length === 0) return [name, tensor];
      const size = sizeOf(shape);
      return [name, { shape, data: tensor.data.subarray(run * size, (run + 1) * size) }];
    }),
  );
}

function addTo(sum: Float64Array, values: ArrayLike<number>): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
}

interface Sums {
  readonly gradients: ReadonlyMap<string, Float64Array>;
  readonly loss: number;
  readonly patients: number;
}
