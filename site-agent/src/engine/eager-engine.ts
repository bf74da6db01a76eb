import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensors, NamedTensors } from "../model/tensors.js";
import { withBackend } from "./active-backend.js";
import { checkTensors } from "./check-tensors.js";
import { EagerHeldState } from "./eager-held-state.js";
import { disposeAll, readAll, type UploadPixels, upload } from "./eager-tensors.js";
import { isOutOfMemory } from "./memory/out-of-memory.js";
import type { CompiledProgram, Engine, Program } from "./program.js";

export interface EagerOptions {
  /**
   * A registered TensorFlow.js backend that starts synchronously. "cpu", in plain JavaScript, is slow and the reference
   * for every other engine.
   */
  readonly backend?: string;
  /** How the backend takes bytes that a program sees as float32; absent: widened in memory and then copied. */
  readonly uploadPixels?: UploadPixels;
}

/** Runs programs op by op on a TensorFlow.js backend. A run blocks its thread. */
export function eagerEngine({ backend = "cpu", uploadPixels }: EagerOptions = {}): Engine {
  const name = backend === "cpu" ? "eager" : `eager-${backend}`;
  return { name, compile: async (program) => eagerProgram(program, backend, uploadPixels) };
}

/** What a program needs of its engine while it runs. */
export interface EagerRunner {
  readonly program: Program;
  /** Runs synchronous TensorFlow.js code on the engine's backend. Tensors that are not kept are gone after it. */
  within<T>(run: () => T): T;
  upload(inputs: HostTensors, names: readonly string[]): NamedTensors;
}

function eagerProgram(program: Program, backend: string, uploadPixels: UploadPixels | undefined): CompiledProgram {
  const runner: EagerRunner = {
    program,
    within: (run) => withBackend(backend, () => explained(program, run)),
    upload: (inputs, names) => Object.fromEntries(names.map((name) => [name, upload(inputs[name]!, uploadPixels)])),
  };
  return {
    hold: async (state) => new EagerHeldState(runner, state),
    async run(inputs, into) {
      checkTensors(program.name, program.inputs, inputs);
      const outputs = runner.within(() => {
        const results = program.build(runner.upload(inputs, Object.keys(program.inputs)));
        const values = readAll(results);
        disposeAll(results);
        return values;
      });
      for (const [name, { data }] of Object.entries(outputs)) into?.[name]?.data.set(data);
      return into === undefined ? outputs : { ...outputs, ...into };
    },
    release: async () => {},
  };
}

/** What backends throw has no code: two failures have a remedy. */
function explained<T>(program: Program, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const kernel = /[Kk]ernel '(\w+)' not registered for backend '(\w+)'/.exec(message);
    if (kernel !== null) {
      throw new ConsiliumError(
        "kernel-missing",
        `program ${program.name} needs kernel ${kernel[1]}, which backend ${kernel[2]} does not have`,
        { remedy: "set another trainer.device in site.yaml", cause },
      );
    }
    if (isOutOfMemory(cause)) {
      throw new ConsiliumError("out-of-memory", `program ${program.name} does not fit on the device: ${message}`, {
        remedy: "lower the batch size of the run, or use a device with more memory",
        cause,
      });
    }
    throw cause;
  }
}
