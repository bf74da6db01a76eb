import { initialVector } from "@consilium/shared/params/initialize.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import type { HostTensors } from "../model/tensors.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import { Stepper } from "./stepper.js";
import { disagreement, drawInputs, relativeDifference, runBoth } from "./testing/agreement.js";
import { quadratic, quadraticLayout } from "./testing/quadratic.js";
import { teacherStudent, teacherStudentLayout } from "./testing/teacher-student.js";
import { type TrainStepOptions, trainStepProgram } from "./train-step.js";
import { freshState, stateFrom, stateTensors, stateVectors } from "./training-state.js";

const options: TrainStepOptions = {
  method: teacherStudent,
  layout: teacherStudentLayout,
  optimizer: { name: "adamw", beta1: 0.9, beta2: 0.99, gradientClip: 0.5 },
  batchSize: 6,
};
const weights = initialVector(teacherStudentLayout, 1);
const ownScalars = (step: number) =>
  Object.fromEntries(Object.entries(teacherStudent.scalars ?? {}).map(([name, at]) => [name, at(step)]));

function batchOf(number: number): HostTensors {
  const random = randomFor("carried", number);
  return {
    ...drawInputs({ view: { shape: [6, 1, 1, 3], dtype: "uint8" } }, random),
    ...teacherStudent.drawExtraInputs(6, random),
  };
}

function inputsOf(changes: Partial<TrainStepOptions> = {}): HostTensors {
  const state = freshState(options, weights);
  const numbers = { ...ownScalars(3), learningRate: 0.01, weightDecay: 0.1, step: 1, lossScale: 1024 };
  const moved = { ...state, carried: { ...state.carried, centre: Float32Array.of(0.1, -0.2, 0.3, 0) } };
  const scalars = Object.entries(numbers).map(([name, number]) => {
    return [name, { shape: [], data: Float32Array.of(number) }] as const;
  });
  return { ...stateTensors({ ...options, ...changes }, moved), ...batchOf(1), ...Object.fromEntries(scalars) };
}

describe("a method with a teacher and a centre", () => {
  it("starts them from the weights that the run starts with", () => {
    const { carried } = freshState(options, weights);
    expect(carried["teacher.backbone.weight"]).toEqual(weights.slice(0, 12));
    expect(carried["centre"]).toEqual(new Float32Array(4));
    expect(stateVectors(options)).toEqual({
      slots: [
        ["moment1", 32],
        ["moment2", 32],
      ],
      carried: [
        ["teacher.backbone.weight", 12],
        ["teacher.backbone.bias", 4],
        ["centre", 4],
      ],
    });
  });

  it("moves the teacher towards the new student, and the centre to what the teacher said", async () => {
    const inputs = inputsOf();
    const { eager } = await runBoth(trainStepProgram(options), inputs);
    const momentum = ownScalars(3)["teacherMomentum"]!;
    const after = eager["carried/teacher.backbone.weight"]!.data;
    after.forEach((moved, at) => {
      const old = inputs["carried/teacher.backbone.weight"]!.data[at]!;
      expect(moved).toBeCloseTo(momentum * old + (1 - momentum) * eager["parameter/backbone.weight"]!.data[at]!, 6);
    });
    expect(after).not.toEqual(weights.slice(0, 12));
    const centre = [...eager["carried/centre"]!.data];
    expect(centre[0]).not.toBeCloseTo(0.1, 3);
  });

  it.each(["host", "graph"] as const)("agrees on both engines with the state guarded by the %s", async (guard) => {
    const program = trainStepProgram({ ...options, guard });
    expect(disagreement(await runBoth(program, inputsOf()))).toBeLessThan(1e-5);
  });

  it("goes back and forth between vectors and tensors", async () => {
    const state = freshState(options, weights);
    expect(stateFrom(options, stateTensors(options, state), { optimizerStep: 0 })).toEqual(state);
  });

  it.each([
    ["compiled", compiledCpuEngine({ threads: 1 })],
    ["eager", eagerEngine()],
  ])("resumes bit for bit (%s)", async (_name, engine) => {
    const step = await engine.compile(trainStepProgram(options));
    const rates = { learningRate: 0.01, weightDecay: 0.1 };
    const through = await Stepper.start(step, options, freshState(options, weights));
    await through.take(batchOf(1), { ...rates, ...ownScalars(0) });
    const saved = await through.state();
    await through.take(batchOf(2), { ...rates, ...ownScalars(1) });
    const resumed = await Stepper.start(step, options, saved);
    await resumed.take(batchOf(2), { ...rates, ...ownScalars(1) });
    expect(await resumed.state()).toEqual(await through.state());
    expect(saved.carried["centre"]).not.toEqual((await through.state()).carried["centre"]);
    await expect(resumed.take(batchOf(3), rates)).rejects.toThrow(/"teacherMomentum" is missing/);
  });
});

describe("micro-batches", () => {
  it.each([2, 3, 6])("are the undivided step in %i parts", async (microBatches) => {
    for (const lossScaling of [false, true]) {
      const inputs = inputsOf();
      const { eager: whole } = await runBoth(trainStepProgram({ ...options, lossScaling }), inputs);
      const parts = await runBoth(trainStepProgram({ ...options, lossScaling, microBatches }), inputs);
      for (const [name, expected] of Object.entries(whole)) {
        expect(relativeDifference(expected, parts.eager[name]!), name).toBeLessThan(1e-6);
        expect(relativeDifference(expected, parts.compiled[name]!), name).toBeLessThan(3e-6);
      }
    }
  });

  it("are refused where they are not the undivided step", () => {
    const refused = expect.objectContaining({ code: "config-invalid" });
    expect(() => trainStepProgram({ ...options, microBatches: 4 })).toThrow(refused);
    const comparing = { ...options, method: quadratic, layout: quadraticLayout, microBatches: 2 };
    expect(() => trainStepProgram(comparing)).toThrow(/quadratic compares the images/);
  });
});
