import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensors } from "../../model/tensors.js";
import { checkTensors } from "../check-tensors.js";
import type { CompileReport } from "../compile-report.js";
import type { ModelOutput } from "../compiled-model.js";
import { hostTensor, ortTensor } from "../compiled-session.js";
import type { CompiledProgram, HeldState, Program } from "../program.js";
import type { TransferMeter } from "./gpu-transfers.js";
import { type DeviceTensors, disposeAll, type WebgpuCopies } from "./webgpu-copies.js";
import { WebgpuHeldState } from "./webgpu-held-state.js";
import { carriedOutputs } from "./webgpu-model.js";
import type { WebgpuSession } from "./webgpu-runtime.js";

export interface WebgpuParts {
  readonly program: Program;
  readonly outputs: readonly ModelOutput[];
  /** Its carried outputs stay on the device. */
  readonly session: WebgpuSession;
  readonly copies: WebgpuCopies;
  readonly meter: TransferMeter;
  readonly report: CompileReport;
}

/** Outputs of one run: those that may be state in buffers of the device, the others in memory. */
export interface WebgpuOutputs {
  readonly onDevice: DeviceTensors;
  readonly onHost: HostTensors;
}

/** A program on WebGPU. To be released before the process ends, and with it the states that it holds. */
export class WebgpuProgram implements CompiledProgram {
  readonly report: CompileReport;
  readonly #states = new Set<HeldState>();

  constructor(private readonly parts: WebgpuParts) {
    this.report = parts.report;
  }

  async run(inputs: HostTensors, into: HostTensors = {}): Promise<HostTensors> {
    const { outputs, copies } = this.parts;
    const { onDevice, onHost } = await this.runWith({}, inputs);
    try {
      const all = { ...onHost, ...(await copies.download(onDevice)) };
      for (const [name, { data }] of Object.entries(into)) data.set(all[name]!.data);
      return Object.fromEntries(outputs.map(({ name }) => [name, into[name] ?? all[name]!]));
    } finally {
      disposeAll(onDevice);
    }
  }

  async hold(state: HostTensors): Promise<HeldState> {
    const { program, outputs, copies } = this.parts;
    const carried = new Set(carriedOutputs(program, outputs).map(({ name }) => name));
    const lost = Object.keys(state).find((name) => !carried.has(name));
    if (lost !== undefined) {
      throw new ConsiliumError("internal", `program ${program.name} does not hand back "${lost}", which it is to hold`);
    }
    const specs = Object.fromEntries(Object.keys(state).map((name) => [name, program.inputs[name]!]));
    checkTensors(program.name, specs, state);
    const held = new WebgpuHeldState(this, copies, await copies.upload(state));
    this.#states.add(held);
    return held;
  }

  /** One run with inputs on the device, which stay as they are, and others in memory. */
  async runWith(onDevice: DeviceTensors, inputs: HostTensors): Promise<WebgpuOutputs> {
    const { program, outputs, session, meter } = this.parts;
    const names = Object.keys(program.inputs).filter((name) => !(name in onDevice));
    checkTensors(program.name, Object.fromEntries(names.map((name) => [name, program.inputs[name]!])), inputs);
    const uploads = names.map((name) => [name, ortTensor(inputs[name]!)] as const);
    const results = await session.run({ ...onDevice, ...Object.fromEntries(uploads) });
    meter.uploaded(names.map((name) => inputs[name]!));
    const named = outputs.map(({ name, modelName }) => [name, results[modelName]!] as const);
    const staying = named.filter(([, tensor]) => tensor.location === "gpu-buffer");
    const arrived = named.filter(([, tensor]) => tensor.location !== "gpu-buffer");
    const onHost = Object.fromEntries(arrived.map(([name, tensor]) => [name, hostTensor(name, tensor)]));
    meter.downloaded(Object.values(onHost));
    return { onDevice: Object.fromEntries(staying), onHost };
  }

  /** Buffers do not outlive the session that made them: using one afterwards ends the process. */
  async release(): Promise<void> {
    await Promise.all([...this.#states].map((state) => state.release()));
    this.#states.clear();
    await this.parts.copies.release();
    await this.parts.session.release();
  }
}
