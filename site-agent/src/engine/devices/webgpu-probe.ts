import { fileURLToPath } from "node:url";
import type { ProbedDevice } from "./choose-device.js";
import { findingOf, type ProbeProcessOptions } from "./probe-process.js";
import { type AdapterTraces, adapterOf } from "./webgpu-adapter.js";

/** What the probing process found. */
export interface WebgpuFound {
  readonly traces: AdapterTraces;
  readonly float16: boolean;
}

const ownEntry = fileURLToPath(new URL("./webgpu-probe-main.js", import.meta.url));

const remedy =
  "install the graphics card's Vulkan driver and the Vulkan loader (Debian, Ubuntu: libvulkan1 and mesa-vulkan-drivers, or NVIDIA's driver), and let the agent's user open /dev/dri or /dev/nvidia*";

/** Which adapter WebGPU finds, tried in a process of its own. Never throws. */
export async function probeWebgpu(options: ProbeProcessOptions = {}): Promise<ProbedDevice> {
  const finding = await findingOf<WebgpuFound>(ownEntry, options);
  if (!finding.works) {
    const nothing = /No supported adapters|Failed to get a WebGPU adapter/.test(finding.reason);
    const detail = nothing ? "no graphics adapter was found" : finding.reason;
    return { device: "webgpu", available: false, detail, remedy };
  }
  const { traces, float16 } = finding.found;
  const { name, software } = adapterOf(traces);
  const speed = software ? { software } : { float16 };
  return { device: "webgpu", available: true, detail: name, ...speed };
}
