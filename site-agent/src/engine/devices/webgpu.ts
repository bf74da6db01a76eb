import type { OptimizeOptions } from "../passes/optimize.js";
import type { Engine } from "../program.js";
import { openModel } from "./gpu-compile.js";
import { TransferMeter, type Transfers } from "./gpu-transfers.js";
import { WebgpuCopies } from "./webgpu-copies.js";
import { carriedOutputs, compileForWebgpu } from "./webgpu-model.js";
import { WebgpuProgram } from "./webgpu-program.js";
import { createWebgpuSession } from "./webgpu-runtime.js";

export interface WebgpuOptions {
  /** "mixed" needs an adapter with float16, as `probeWebgpu` says. */
  readonly precision?: "float32" | "mixed" | undefined;
  /** Folder for compiled programs; absent: nothing is kept. */
  readonly cacheDirectory?: string | undefined;
}

export interface WebgpuEngine extends Engine {
  /** Of all its programs so far. */
  readonly transfers: Transfers;
}

/**
 * Runs programs on ONNX Runtime's WebGPU provider: Vulkan, Metal or Direct3D 12, whichever the machine has. Held state
 * stays in buffers of the device. A run blocks its thread.
 *
 * The device belongs to the process. After a loss of the device, which is an error "internal", only a new process gets
 * one again; what does not fit is an error "out-of-memory".
 */
export function webgpuEngine({ precision = "float32", cacheDirectory }: WebgpuOptions = {}): WebgpuEngine {
  const meter = new TransferMeter();
  const options: OptimizeOptions = { products: "plain", precision };
  return {
    name: "onnx-webgpu",
    get transfers() {
      return meter.totals;
    },
    async compile(program) {
      const parts = await openModel(
        {
          ...{ directory: cacheDirectory, program, options, variant: "webgpu" },
          compile: () => compileForWebgpu(program, options),
        },
        (model) => {
          const staying = carriedOutputs(program, model.outputs).map(({ modelName }) => modelName);
          return createWebgpuSession(program.name, model, staying);
        },
      );
      return new WebgpuProgram({ program, ...parts, copies: new WebgpuCopies(meter), meter });
    },
  };
}
