import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensors } from "../../model/tensors.js";
import type { HeldState } from "../program.js";
import { type DeviceTensors, disposeAll, type WebgpuCopies } from "./webgpu-copies.js";
import type { WebgpuOutputs } from "./webgpu-program.js";

/** What a state needs of its program. */
export interface WebgpuStepper {
  runWith(onDevice: DeviceTensors, inputs: HostTensors): Promise<WebgpuOutputs>;
}

/** State in WebGPU buffers: a run reads the current ones and makes new ones, which take their place when accepted. */
export class WebgpuHeldState implements HeldState {
  #buffers: DeviceTensors | undefined;

  /** @param start belongs to this state, which disposes it */
  constructor(
    private readonly program: WebgpuStepper,
    private readonly copies: WebgpuCopies,
    start: DeviceTensors,
  ) {
    this.#buffers = start;
  }

  async advance(inputs: HostTensors, accepts: (outputs: HostTensors) => boolean): Promise<HostTensors> {
    const current = this.#current();
    const { onDevice, onHost } = await this.program.runWith(current, inputs);
    const [next, extra] = partition(onDevice, (name) => name in current);
    let unused = next;
    try {
      const outputs = { ...onHost, ...(await this.copies.download(extra)) };
      if (accepts(outputs)) [this.#buffers, unused] = [next, current];
      return outputs;
    } finally {
      disposeAll(unused);
      disposeAll(extra);
    }
  }

  async read(): Promise<HostTensors> {
    return this.copies.download(this.#current());
  }

  async release(): Promise<void> {
    const buffers = this.#buffers ?? {};
    this.#buffers = undefined;
    disposeAll(buffers);
  }

  #current(): DeviceTensors {
    if (this.#buffers === undefined) throw new ConsiliumError("internal", "state on the device was released already");
    return this.#buffers;
  }
}

function partition(tensors: DeviceTensors, chosen: (name: string) => boolean): [DeviceTensors, DeviceTensors] {
  const entries = Object.entries(tensors);
  return [
    Object.fromEntries(entries.filter(([name]) => chosen(name))),
    Object.fromEntries(entries.filter(([name]) => !chosen(name))),
  ];
}
