import { sizeOf } from "@consilium/shared/params/layout.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import type { HostData, HostDtype, HostTensor, HostTensors, NamedTensors, TensorSpecs } from "../../model/tensors.js";
import { compiledCpuEngine } from "../compiled-engine.js";
import { eagerEngine } from "../eager-engine.js";
import type { Program } from "../program.js";

/** For tests: one program on both engines. */
export interface BothRuns {
  readonly eager: HostTensors;
  readonly compiled: HostTensors;
}

export async function runBoth(program: Program, inputs: HostTensors): Promise<BothRuns> {
  const compiled = await compiledCpuEngine({ threads: 1 }).compile(program);
  const eager = await eagerEngine().compile(program);
  try {
    return { eager: await eager.run(inputs), compiled: await compiled.run(inputs) };
  } finally {
    await compiled.release();
  }
}

/** The largest difference over every output, relative to the output's largest magnitude. */
export function disagreement({ eager, compiled }: BothRuns): number {
  const names = Object.keys(eager);
  if (names.join() !== Object.keys(compiled).join()) return Number.POSITIVE_INFINITY;
  return Math.max(0, ...names.map((name) => relativeDifference(eager[name]!, compiled[name]!)));
}

export function relativeDifference(expected: HostTensor, actual: HostTensor): number {
  if (expected.shape.join() !== actual.shape.join()) return Number.POSITIVE_INFINITY;
  let [difference, scale] = [0, 0];
  for (let place = 0; place < expected.data.length; place++) {
    const [a, b] = [expected.data[place]!, actual.data[place]!];
    if (Object.is(a, b)) continue;
    const gap = Math.abs(a - b);
    difference = Math.max(difference, Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap);
    scale = Math.max(scale, Math.abs(a));
  }
  return difference / Math.max(scale, 1e-3);
}

export function programOf(inputs: TensorSpecs, build: (inputs: NamedTensors) => NamedTensors): Program {
  return { name: "test", inputs, build };
}

/** Standard normal floats, integers below three, any bytes. */
export function drawInputs(specs: TensorSpecs, random: Random = randomFor("agreement")): HostTensors {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, dtype }]) => {
      return [name, { shape, data: drawn(dtype, sizeOf(shape), random) }];
    }),
  );
}

function drawn(dtype: HostDtype, length: number, random: Random): HostData {
  if (dtype === "float32") return Float32Array.from({ length }, () => random.normal());
  if (dtype === "uint8") return Uint8Array.from({ length }, () => random.integer(256));
  return Int32Array.from({ length }, () => random.integer(3));
}
