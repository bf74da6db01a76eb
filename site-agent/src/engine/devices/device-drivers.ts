import { availableParallelism } from "node:os";
import { compiledCpuEngine } from "../compiled-engine.js";
import type { Engine } from "../program.js";
import type { ProbedDevice } from "./choose-device.js";
import { cudaEngine } from "./cuda.js";
import { probeCuda } from "./cuda-probe.js";
import type { DeviceName, EngineRequest, OpenedEngine } from "./device.js";
import { tensorflowEngine } from "./tensorflow.js";
import { probeTensorflow } from "./tensorflow-probe.js";
import { webgpuEngine } from "./webgpu.js";
import { probeWebgpu } from "./webgpu-probe.js";

/** A request with what is particular to one device. */
export interface OpenRequest extends EngineRequest {
  /** Where `engine install tensorflow` put native TensorFlow, as `tensorflowDirectory` says. */
  readonly tensorflowDirectory?: string;
}

/** How one device is looked for and opened. */
export interface DeviceDriver {
  /** Never throws: what is missing is the answer. */
  probe(request: OpenRequest): Promise<ProbedDevice>;
  open(request: OpenRequest, precision: OpenedEngine["precision"]): Promise<Engine>;
}

export type DeviceDrivers = Readonly<Record<DeviceName, DeviceDriver>>;

/** In the order in which they are shown. */
export const deviceDrivers: DeviceDrivers = {
  cuda: {
    probe: () => probeCuda(),
    open: async ({ cacheDirectory }, precision) => cudaEngine({ precision, cacheDirectory }),
  },
  webgpu: {
    probe: () => probeWebgpu(),
    open: async ({ cacheDirectory }, precision) => webgpuEngine({ precision, cacheDirectory }),
  },
  cpu: {
    probe: async ({ threads }) => ({ device: "cpu", available: true, detail: threadText(threads) }),
    open: async ({ threads, cacheDirectory }) => compiledCpuEngine({ threads, cacheDirectory }),
  },
  tensorflow: {
    probe: (request) => probeTensorflow(request),
    open: async (request) => tensorflowEngine(request),
  },
};

function threadText(threads = availableParallelism()): string {
  return `${threads} thread${threads === 1 ? "" : "s"}, compiled`;
}
