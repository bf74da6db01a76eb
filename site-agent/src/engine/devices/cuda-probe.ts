import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ProbedDevice } from "./choose-device.js";
import { findingOf, type ProbeProcessOptions } from "./probe-process.js";

/** What the probing process found. */
export interface CudaFound {
  /** NVIDIA's cards with their compute capability, "NVIDIA H200, 9.0" per line. */
  readonly cards: string;
}

export interface CudaProbeOptions extends ProbeProcessOptions {
  readonly platform?: string;
  /** Folder of onnxruntime-node. */
  readonly packageDirectory?: string;
}

const ownEntry = fileURLToPath(new URL("./cuda-probe-main.js", import.meta.url));

/** Cards since Volta multiply float16 in units of their own. */
const float16Capability = 7;

/** Whether ONNX Runtime's CUDA provider is installed and runs, tried in a process of its own. Never throws. */
export async function probeCuda(options: CudaProbeOptions = {}): Promise<ProbedDevice> {
  const platform = options.platform ?? `${process.platform}/${process.arch}`;
  if (platform !== "linux/x64") return unavailable(`ONNX Runtime has CUDA for linux/x64 only, not for ${platform}`);
  const directory = options.packageDirectory ?? installedDirectory();
  if (!existsSync(join(directory, "bin/napi-v6", platform, "libonnxruntime_providers_cuda.so"))) {
    return unavailable("ONNX Runtime's CUDA provider is not installed", installRemedy(directory));
  }
  const finding = await findingOf<CudaFound>(ownEntry, options);
  if (!finding.works) return unavailable(finding.reason, librariesRemedy);
  const card = firstCard(finding.found);
  const detail = `${card?.name ?? "an NVIDIA card"} through CUDA`;
  return { device: "cuda", available: true, detail, float16: (card?.capability ?? 0) >= float16Capability };
}

const librariesRemedy =
  "install NVIDIA's driver and the libraries of CUDA 12 and cuDNN 9 (Debian, Ubuntu with NVIDIA's repository: cuda-libraries-12-8 and libcudnn9-cuda-12), and run `ldconfig`";

/** The script comes with the package and loads some 300 MB from api.nuget.org; npm does not run it by itself. */
function installRemedy(directory: string): string {
  return `run \`node ${join(directory, "script/install.js")} --onnxruntime-node-install=cuda12\`, and have CUDA 12 and cuDNN 9 on the machine`;
}

function installedDirectory(): string {
  const main = createRequire(import.meta.url).resolve("onnxruntime-node");
  return dirname(dirname(main));
}

function firstCard({ cards }: CudaFound): { name: string; capability: number } | undefined {
  const [, name, capability] = /^(.+), (\d+\.\d+)$/m.exec(cards) ?? [];
  return name === undefined ? undefined : { name, capability: Number(capability) };
}

function unavailable(detail: string, remedy?: string): ProbedDevice {
  return { device: "cuda", available: false, detail, ...(remedy === undefined ? {} : { remedy }) };
}
