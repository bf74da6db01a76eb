import { fileURLToPath } from "node:url";
import { asConsiliumError } from "@consilium/shared/errors.js";
import type { DeviceProbe } from "./device.js";
import { findingOf, type ProbeProcessOptions } from "./probe-process.js";
import { findTensorflow, type TensorflowOptions } from "./tensorflow.js";
import { installRemedy } from "./tensorflow-backend.js";

/** What the probing process found. */
export interface TensorflowFound {
  readonly libraryVersion: string;
  readonly usesGpu: boolean;
}

export type TensorflowProbeOptions = TensorflowOptions & Pick<ProbeProcessOptions, "entryPath" | "timeoutMs">;

const ownEntry = fileURLToPath(new URL("./tensorflow-probe-main.js", import.meta.url));

/**
 * Which TensorFlow there is and whether it uses a GPU, tried in a process of its own: loading it takes a second and some
 * hundred megabytes, and ends a process whose processor it does not fit. Never throws.
 */
export async function probeTensorflow(options: TensorflowProbeOptions = {}): Promise<DeviceProbe> {
  try {
    const { name, version } = findTensorflow(options);
    const { tensorflowDirectory: directory, ...start } = options;
    const parameters = directory === undefined ? [] : [directory];
    const finding = await findingOf<TensorflowFound>(ownEntry, { ...start, parameters });
    if (!finding.works) return unavailable(finding.reason, `${installRemedy} again`);
    const { libraryVersion, usesGpu } = finding.found;
    const where = usesGpu ? "with a GPU" : "on the processor";
    const detail = `TensorFlow ${libraryVersion} ${where}, through ${name} ${version}`;
    return { device: "tensorflow", available: true, detail };
  } catch (thrown) {
    const { message, remedy } = asConsiliumError(thrown);
    return unavailable(message, remedy);
  }
}

function unavailable(detail: string, remedy: string | undefined): DeviceProbe {
  return { device: "tensorflow", available: false, detail, ...(remedy === undefined ? {} : { remedy }) };
}
