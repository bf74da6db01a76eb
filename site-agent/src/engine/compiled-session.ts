import { ConsiliumError } from "@consilium/shared/errors.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { type InferenceSession, Tensor } from "onnxruntime-node";
import type { HostTensor, HostTensors, TensorSpecs } from "../model/tensors.js";
import { checkTensors, dtypeOf } from "./check-tensors.js";
import type { CompileReport } from "./compile-report.js";
import type { ModelOutput } from "./compiled-model.js";
import { HostHeldState } from "./host-held-state.js";
import { isOutOfMemory } from "./memory/out-of-memory.js";
import type { CompiledProgram, HeldState, Program } from "./program.js";

/** A graph on ONNX Runtime, spoken to in the program's names. */
export class CompiledSession implements CompiledProgram {
  constructor(
    private readonly program: Program,
    private readonly outputs: readonly ModelOutput[],
    private readonly session: InferenceSession,
    readonly report?: CompileReport,
  ) {}

  async run(inputs: HostTensors, into: HostTensors = {}): Promise<HostTensors> {
    checkTensors(this.program.name, this.program.inputs, inputs);
    checkTensors(this.program.name, this.#specsOf(into), into);
    const feeds = Object.fromEntries(Object.keys(this.program.inputs).map((name) => [name, ortTensor(inputs[name]!)]));
    const results = await this.#run(feeds, into);
    return Object.fromEntries(
      this.outputs.map(({ name, modelName }) => [name, into[name] ?? hostTensor(name, results[modelName])]),
    );
  }

  async hold(state: HostTensors): Promise<HeldState> {
    const reported = this.outputs.filter(({ name }) => !(name in state)).map((output) => [output.name, zeros(output)]);
    return new HostHeldState(this, state, Object.fromEntries(reported));
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** Name of the output of `sequence-output.ts`, where the model has it: the one that is not the program's. */
  get #sequence(): string | undefined {
    const { outputNames } = this.session;
    return outputNames.length > this.outputs.length ? outputNames[0] : undefined;
  }

  /**
   * ONNX Runtime writes the outputs that have a destination there by itself. Its binding for Node (1.30) copies each of
   * them again into new memory, for a training state of hundreds of megabytes at every step, unless it meets an output that
   * it cannot hand over: then it fails after the run and before the copies. So where every output has its destination,
   * such an output is asked for first. A binding that can hand it over only copies, as it would have done without.
   */
  async #run(feeds: Record<string, Tensor>, into: HostTensors): Promise<InferenceSession.ReturnType> {
    const fetches: (readonly [string, Tensor | null])[] = this.outputs.map(({ name, modelName }) => {
      const destination = into[name];
      return [modelName, destination === undefined ? null : ortTensor(destination)] as const;
    });
    const inPlace = this.outputs.every(({ name }) => name in into) ? this.#sequence : undefined;
    if (inPlace !== undefined) fetches.unshift([inPlace, null]);
    try {
      return await this.session.run(feeds, Object.fromEntries(fetches));
    } catch (cause) {
      if (inPlace !== undefined && cause instanceof Error && /^Non tensor type/.test(cause.message)) return {};
      throw failure(this.program.name, cause);
    }
  }

  #specsOf(into: HostTensors): TensorSpecs {
    return Object.fromEntries(this.outputs.filter(({ name }) => name in into).map((output) => [output.name, output]));
  }
}

function zeros({ shape, dtype }: ModelOutput): HostTensor {
  return { shape, data: dtype === "float32" ? new Float32Array(sizeOf(shape)) : new Int32Array(sizeOf(shape)) };
}

function failure(name: string, cause: unknown): ConsiliumError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (!isOutOfMemory(cause)) return new ConsiliumError("internal", `program ${name} failed: ${reason}`, { cause });
  return new ConsiliumError("out-of-memory", `program ${name} needs more memory than there is: ${reason}`, {
    remedy: "use a machine or device with more memory, or ask for a run with a smaller batch",
    cause,
  });
}

export function ortTensor(tensor: HostTensor): Tensor {
  return new Tensor(dtypeOf(tensor), tensor.data, tensor.shape);
}

export function hostTensor(name: string, result: Tensor | undefined): HostTensor {
  const data = result?.data;
  if (result === undefined || !(data instanceof Float32Array || data instanceof Int32Array)) {
    throw new ConsiliumError("internal", `output "${name}" came back without numbers`);
  }
  return { shape: result.dims, data };
}
