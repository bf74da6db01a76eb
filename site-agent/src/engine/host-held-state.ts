import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostData, HostTensor, HostTensors } from "../model/tensors.js";
import type { CompiledProgram, HeldState } from "./program.js";

/** State in memory: two copies take turns as input and output, so that a run allocates nothing that grows with it. */
export class HostHeldState implements HeldState {
  #current: HostTensors;
  #next: HostTensors;

  /** @param reported where the outputs that are not state are written, if the program likes to have all in place */
  constructor(
    private readonly program: Pick<CompiledProgram, "run">,
    state: HostTensors,
    private readonly reported: HostTensors = {},
  ) {
    this.#current = mapTensors(state, ({ data }) => data.slice());
    this.#next = mapTensors(state, ({ data }) => data.slice());
  }

  async advance(inputs: HostTensors, accepts: (outputs: HostTensors) => boolean): Promise<HostTensors> {
    const all = await this.program.run({ ...inputs, ...this.#current }, { ...this.#next, ...this.reported });
    const outputs = this.#withoutState(all);
    if (Object.keys(all).length - Object.keys(outputs).length !== Object.keys(this.#next).length) {
      throw new ConsiliumError("internal", "a program does not hand back all of the state that it was given");
    }
    if (accepts(outputs)) [this.#current, this.#next] = [this.#next, this.#current];
    return outputs;
  }

  /** With data of their own. */
  #withoutState(all: HostTensors): HostTensors {
    const outputs = Object.fromEntries(Object.entries(all).filter(([name]) => !(name in this.#next)));
    return mapTensors(outputs, ({ data }) => data.slice());
  }

  async read(): Promise<HostTensors> {
    return mapTensors(this.#current, ({ data }) => data.slice());
  }

  async release(): Promise<void> {}
}

function mapTensors(tensors: HostTensors, dataOf: (tensor: HostTensor) => HostData): HostTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, { shape: tensor.shape, data: dataOf(tensor) }]),
  );
}
