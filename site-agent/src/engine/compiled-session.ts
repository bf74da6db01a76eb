import { ConsiliumError } from "@consilium/shared/errors.js";
import { type InferenceSession, Tensor } from "onnxruntime-node";
import type { HostTensor, HostTensors, TensorSpecs } from "../model/tensors.js";
import { checkTensors, dtypeOf } from "./check-tensors.js";
import type { ModelOutput } from "./compiled-model.js";
import { HostHeldState } from "./host-held-state.js";
import type { CompiledProgram, HeldState, Program } from "./program.js";

/** A graph on ONNX Runtime, spoken to in the program's names. */
export class CompiledSession implements CompiledProgram {
  constructor(
    private readonly program: Program,
    private readonly outputs: readonly ModelOutput[],
    private readonly session: InferenceSession,
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
    return new HostHeldState(this, state);
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** ONNX Runtime writes the outputs that have a destination there by itself. */
  async #run(feeds: Record<string, Tensor>, into: HostTensors): Promise<InferenceSession.ReturnType> {
    const fetches = this.outputs.map(({ name, modelName }) => {
      const destination = into[name];
      return [modelName, destination === undefined ? null : ortTensor(destination)] as const;
    });
    try {
      return await this.session.run(feeds, Object.fromEntries(fetches));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ConsiliumError("internal", `program ${this.program.name} failed: ${reason}`, { cause });
    }
  }

  #specsOf(into: HostTensors): TensorSpecs {
    return Object.fromEntries(this.outputs.filter(({ name }) => name in into).map((output) => [output.name, output]));
  }
}

function ortTensor(tensor: HostTensor): Tensor {
  return new Tensor(dtypeOf(tensor), tensor.data, tensor.shape);
}

function hostTensor(name: string, result: Tensor | undefined): HostTensor {
  const data = result?.data;
  if (result === undefined || !(data instanceof Float32Array || data instanceof Int32Array)) {
    throw new ConsiliumError("internal", `output "${name}" came back without numbers`);
  }
  return { shape: result.dims, data };
}
