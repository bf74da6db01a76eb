import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostData, HostTensor, HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { outputsOf } from "./compiled-model.js";
import type { Program } from "./program.js";
import { repeat } from "./trace/repeat.js";
import { traceProgram } from "./trace/trace-program.js";

/**
 * Several steps of a program as one run of another, for devices whose runtime copies state to and fro with every run.
 * State goes from step to step inside; every other input and output has the steps as a first axis.
 */
export interface StepsPerCall {
  readonly count: number;
  readonly program: Program;
  /** What `count` steps take, as one run takes it. */
  join(steps: readonly HostTensors[]): HostTensors;
  /** What one run gave besides state, step by step. */
  split(outputs: HostTensors): HostTensors[];
}

/** How calls are made of steps, without the program. */
export type StepCalls = Omit<StepsPerCall, "program">;

/** One step of a program is one run of it. */
export const oneStepPerCall: StepCalls = {
  count: 1,
  join: ([step]): HostTensors => step ?? {},
  split: (outputs) => [outputs],
};

/** @param program its inputs that are outputs of the same name are state; it must keep state by itself where a step fails */
export function stepsPerCall(program: Program, count: number): StepsPerCall {
  const outputs = outputsOf(traceProgram(program));
  const state = outputs.map(({ name }) => name).filter((name) => name in program.inputs);
  const reported = outputs.filter(({ name }) => !(name in program.inputs));
  const isState = (name: string): boolean => state.includes(name);
  const { description } = program;
  return {
    count,
    program: {
      name: `${program.name}, ${count} at a time`,
      ...(description === undefined ? {} : { description: JSON.stringify({ count, of: description }) }),
      inputs: stackedSpecs(program.inputs, { count, isState }),
      build(inputs) {
        const start = {
          ...pick(inputs, state),
          ...Object.fromEntries(
            reported.map(({ name, shape, dtype }) => [name, tf.zeros([count, ...shape], tensorType(dtype))]),
          ),
        };
        const rows = { ...inputs, [stepIndex]: tf.range(0, count, 1, "int32") };
        return repeat({ count, start, rows: omit(rows, state) }, (current, mine) => {
          const after = program.build({ ...pick(current, state), ...ofOneStep(mine, program.inputs) });
          const step = mine[stepIndex]!;
          const kept = reported.map(({ name }) => [name, withRow(current[name]!, step, after[name]!)] as const);
          return { ...pick(after, state), ...Object.fromEntries(kept) };
        });
      },
    },
    join: (steps) => joinSteps(steps, count),
    split: (results) => Array.from({ length: count }, (_, step) => stepOf(omit(results, state), step, count)),
  };
}

/** Cannot be the name of an input, which is never empty. */
const stepIndex = "";

interface Stacking {
  readonly count: number;
  readonly isState: (name: string) => boolean;
}

function stackedSpecs(specs: TensorSpecs, { count, isState }: Stacking): TensorSpecs {
  return mapEntries(specs, (spec, name) => (isState(name) ? spec : { ...spec, shape: [count, ...spec.shape] }));
}

function ofOneStep(rows: NamedTensors, specs: TensorSpecs): NamedTensors {
  return mapEntries(omit(rows, [stepIndex]), (row, name) => tf.reshape(row, [...specs[name]!.shape]));
}

/** A row replaced, and nothing computed with the others, which may hold anything. */
function withRow(stack: Tensor, step: Tensor, row: Tensor): Tensor {
  const [count = 1, ...shape] = stack.shape;
  const places = tf.reshape(tf.range(0, count, 1, "int32"), [count, ...shape.map(() => 1)]);
  const here = tf.broadcastTo(tf.equal(places, tf.reshape(step, shape.map(() => 1).concat(1))), stack.shape);
  return tf.where(here, tf.broadcastTo(tf.expandDims(row, 0), stack.shape), stack);
}

function joinSteps(steps: readonly HostTensors[], count: number): HostTensors {
  const [first] = steps;
  if (first === undefined || steps.length !== count) {
    throw new ConsiliumError("internal", `one call takes ${count} steps, not ${steps.length}`);
  }
  return mapEntries(first, ({ shape, data }, name): HostTensor => {
    const joined = emptyLike(data, count);
    steps.forEach((step, index) => {
      joined.set(step[name]!.data, index * data.length);
    });
    return { shape: [count, ...shape], data: joined };
  });
}

function stepOf(stacked: HostTensors, step: number, count: number): HostTensors {
  return mapEntries(stacked, ({ shape, data }): HostTensor => {
    const size = data.length / count;
    return { shape: shape.slice(1), data: data.slice(step * size, (step + 1) * size) };
  });
}

function emptyLike(data: HostData, count: number): HostData {
  const length = data.length * count;
  if (data instanceof Float32Array) return new Float32Array(length);
  return data instanceof Int32Array ? new Int32Array(length) : new Uint8Array(length);
}

function tensorType(dtype: string): "float32" | "int32" {
  return dtype === "int32" ? "int32" : "float32";
}

function pick<T>(table: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, table[name]!]));
}

function omit<T>(table: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(table).filter(([name]) => !names.includes(name)));
}

function mapEntries<In, Out>(
  table: Readonly<Record<string, In>>,
  change: (entry: In, name: string) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, change(entry, name)]));
}
