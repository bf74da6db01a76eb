import type { Engine } from "../program.js";

/** What a site may ask for in `trainer.device`. */
export const deviceChoices = ["auto", "cpu", "webgpu", "cuda", "tensorflow"] as const;
export type DeviceChoice = (typeof deviceChoices)[number];
export type DeviceName = Exclude<DeviceChoice, "auto">;

/** What was found on this machine for one device. */
export interface DeviceProbe {
  readonly device: DeviceName;
  readonly available: boolean;
  /** What was found, or what is missing: "NVIDIA H200 through Vulkan", "the CUDA provider is not installed". */
  readonly detail: string;
  /** True for a device that computes on the processor, such as a software Vulkan driver: works, but `auto` skips it. */
  readonly software?: boolean;
  /** What to do to get it, where something can be done. */
  readonly remedy?: string;
}

export interface EngineRequest {
  readonly device: DeviceChoice;
  /** Threads that share one operator's work on the processor; absent: one per core. */
  readonly threads?: number;
  /** "mixed": products and activations in float16 with float32 master weights. "auto": where the device gains from it. */
  readonly precision?: "auto" | "float32" | "mixed";
  /** Folder for compiled programs; absent: nothing is cached. */
  readonly cacheDirectory?: string;
}

export interface OpenedEngine {
  readonly engine: Engine;
  readonly device: DeviceName;
  /** Why this device: "asked for in trainer.device", "the first that works of cuda, webgpu, cpu". */
  readonly reason: string;
  readonly precision: "float32" | "mixed";
}
