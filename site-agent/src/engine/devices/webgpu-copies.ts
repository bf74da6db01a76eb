import type { Tensor } from "onnxruntime-node";
import type { HostTensors, TensorSpec, TensorSpecs } from "../../model/tensors.js";
import { dtypeOf } from "../check-tensors.js";
import { hostTensor, ortTensor } from "../compiled-session.js";
import type { TransferMeter } from "./gpu-transfers.js";
import { type CopyingModel, copyingModel } from "./webgpu-copying-model.js";
import { createWebgpuSession, type WebgpuSession } from "./webgpu-runtime.js";

/** Tensors in buffers of the device, by name. Each must be disposed. */
export type DeviceTensors = Readonly<Record<string, Tensor>>;

type Direction = "up" | "down";

interface Copier extends Pick<CopyingModel, "copies"> {
  readonly session: WebgpuSession;
}

/**
 * Moves tensors between the host and WebGPU buffers. The binding can read no buffer by itself, so that both ways go
 * through a model that hands its inputs through. A buffer lives no longer than the session that made it: sessions are
 * kept until `release`.
 */
export class WebgpuCopies {
  readonly #copiers = new Map<string, Promise<Copier>>();

  constructor(private readonly meter: TransferMeter) {}

  async upload(tensors: HostTensors): Promise<DeviceTensors> {
    if (Object.keys(tensors).length === 0) return {};
    const specs = mapValues(tensors, (tensor) => ({ shape: tensor.shape, dtype: dtypeOf(tensor) }));
    const { session, copies } = await this.#copierFor("up", specs);
    const results = await session.run(mapValues(tensors, ortTensor));
    this.meter.uploaded(Object.values(tensors));
    return mapValues(tensors, (_tensor, name) => results[copies[name]!]!);
  }

  async download(tensors: DeviceTensors): Promise<HostTensors> {
    if (Object.keys(tensors).length === 0) return {};
    const specs = mapValues(tensors, ({ dims, type }): TensorSpec => {
      return { shape: dims, dtype: type === "int32" ? "int32" : "float32" };
    });
    const { session, copies } = await this.#copierFor("down", specs);
    const results = await session.run(tensors);
    const host = mapValues(tensors, (_tensor, name) => hostTensor(name, results[copies[name]!]));
    this.meter.downloaded(Object.values(host));
    return host;
  }

  /** Everything that was uploaded must be disposed before. */
  async release(): Promise<void> {
    const copiers = await Promise.all(this.#copiers.values());
    this.#copiers.clear();
    await Promise.all(copiers.map(({ session }) => session.release()));
  }

  #copierFor(direction: Direction, specs: TensorSpecs): Promise<Copier> {
    const key = JSON.stringify([direction, specs]);
    const copier = this.#copiers.get(key) ?? createCopier(direction, specs);
    this.#copiers.set(key, copier);
    return copier;
  }
}

async function createCopier(direction: Direction, specs: TensorSpecs): Promise<Copier> {
  const model = copyingModel(specs);
  const staying = direction === "up" ? Object.values(model.copies) : [];
  return { session: await createWebgpuSession(`copy ${direction}`, model, staying), copies: model.copies };
}

export function disposeAll(tensors: DeviceTensors): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}

function mapValues<In, Out>(
  table: Readonly<Record<string, In>>,
  change: (entry: In, name: string) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, change(entry, name)]));
}
