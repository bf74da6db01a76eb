import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { InferenceSession } from "onnxruntime-node";
import type { CompileReport } from "./compile-report.js";
import { type CompiledModel, modelOf } from "./compiled-model.js";
import { CompiledSession } from "./compiled-session.js";
import { createCpuSession, optimizedSession } from "./cpu-session.js";
import type { Graph } from "./graph/graph.js";
import { operationsInOrder } from "./graph/order.js";
import { type OptimizeOptions, optimize } from "./passes/optimize.js";
import type { Engine, Program } from "./program.js";
import { cachedModel, forgetModel } from "./program-cache.js";
import { traceProgram } from "./trace/trace-program.js";

export interface CompiledCpuOptions {
  /** Threads that share one operator's work; ONNX Runtime's default is one per core. */
  readonly threads?: number | undefined;
  /** Folder for compiled programs; absent: nothing is kept. */
  readonly cacheDirectory?: string | undefined;
}

const options: OptimizeOptions = { products: "fused" };

/** What ONNX Runtime optimises for one processor architecture is of no use to another. */
const variant = `cpu ${process.platform} ${process.arch}`;

/** Traces a program once and runs it as one ONNX graph on ONNX Runtime's CPU provider. A run blocks its thread. */
export function compiledCpuEngine(engine: CompiledCpuOptions = {}): Engine {
  return {
    name: "onnx-cpu",
    async compile(program) {
      const startedAt = performance.now();
      const { session, outputs, ...origin } = await ready(program, engine);
      const report = { program: program.name, ...origin, compileMs: performance.now() - startedAt };
      return new CompiledSession(program, outputs, session, report);
    },
  };
}

interface Ready extends Pick<CompileReport, "cache" | "traced" | "notKept" | "peakBytes"> {
  readonly session: InferenceSession;
  readonly outputs: CompiledModel["outputs"];
}

async function ready(program: Program, engine: CompiledCpuOptions): Promise<Ready> {
  const place = { directory: engine.cacheDirectory, program, options, variant };
  let made: InferenceSession | undefined;
  const { bytes, ...model } = await cachedModel({
    ...place,
    async compile() {
      const compiled = await compileFor(program, engine);
      made = compiled.session;
      return compiled.model;
    },
  });
  const { outputs, peakBytes, cache, notKept } = model;
  const origin = { outputs, peakBytes, cache, ...(notKept === undefined ? {} : { notKept }) };
  if (made !== undefined) return { session: made, traced: true, ...origin };
  const level = model.optimized === true ? "disabled" : "all";
  try {
    return { session: await createCpuSession(bytes, { ...about(program, engine), level }), traced: false, ...origin };
  } catch {
    await forgetModel(place);
    // Without the folder, so that a file that cannot be removed is not found again.
    return { ...(await ready(program, { threads: engine.threads })), cache: "damaged" };
  }
}

const about = ({ name }: Program, { threads }: CompiledCpuOptions) => ({ name, threads });

interface Compiled {
  readonly model: CompiledModel;
  readonly session: InferenceSession;
}

async function compileFor(program: Program, engine: CompiledCpuOptions): Promise<Compiled> {
  const graph = optimize(traceProgram(program), options);
  const model = modelOf(graph, { sequence: true });
  const { cacheDirectory } = engine;
  // The best layout for a convolution depends on the processor: such a model is optimised whenever it is loaded.
  if (cacheDirectory !== undefined && program.description !== undefined && !convolves(graph)) {
    const optimized = await optimizedOnDisk(model, cacheDirectory, about(program, engine));
    if (optimized !== undefined) return optimized;
  }
  return { model, session: await createCpuSession(model.bytes, { ...about(program, engine), level: "all" }) };
}

/** @returns undefined when the runtime or the disk would not: a model that cannot be kept can be run all the same */
async function optimizedOnDisk(
  model: CompiledModel,
  directory: string,
  options: { name: string; threads: number | undefined },
): Promise<Compiled | undefined> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { session, bytes } = await optimizedSession(model.bytes, join(directory, "optimized"), options);
    return { session, model: { ...model, bytes, optimized: true } };
  } catch {
    return undefined;
  }
}

function convolves(graph: Graph): boolean {
  return operationsInOrder(graph).some(({ op, body }) => op === "Conv" || (body !== undefined && convolves(body)));
}
