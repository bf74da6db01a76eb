import { ConsiliumError } from "@consilium/shared/errors.js";
import type { DeviceName, DeviceProbe, EngineRequest, OpenedEngine } from "./device.js";

/** What `auto` looks for, in this order. Native TensorFlow runs op by op and is slower than the processor compiled. */
export const automaticOrder = ["cuda", "webgpu", "cpu"] as const;

/** What was found, with what decides about the precision. */
export interface ProbedDevice extends DeviceProbe {
  /** True where the device computes in float16 and is faster for it. */
  readonly float16?: boolean;
}

export type DeviceDecision = Pick<OpenedEngine, "device" | "reason" | "precision">;

/**
 * @param probes at least of the device that is asked for; for "auto" of its order up to the first that serves
 * @throws ConsiliumError "config-invalid" when the device or the precision that is asked for cannot be had
 */
export function chooseDevice(
  { device, precision = "auto" }: Pick<EngineRequest, "device" | "precision">,
  probes: readonly ProbedDevice[],
): DeviceDecision {
  const probed = (name: DeviceName) => probes.find((probe) => probe.device === name);
  const chosen = device === "auto" ? firstThatServes(probed) : required(device, probed(device));
  return {
    device: chosen.device,
    reason: device === "auto" ? automaticReason(chosen, probed) : "asked for",
    precision: precisionOn(chosen, precision),
  };
}

/** Whether `auto` takes a device. */
export function servesAuto(probe: ProbedDevice | undefined): probe is ProbedDevice {
  return probe?.available === true && probe.software !== true;
}

type Probed = (name: DeviceName) => ProbedDevice | undefined;

function firstThatServes(probed: Probed): ProbedDevice {
  const found = automaticOrder.map(probed).find(servesAuto);
  if (found !== undefined) return found;
  throw new ConsiliumError("config-invalid", `no device of ${automaticOrder.join(", ")} can be used`, {
    remedy: "run 'consilium-agent engine doctor' to see what each of them lacks",
  });
}

function required(device: DeviceName, probe: ProbedDevice | undefined): ProbedDevice {
  if (probe?.available === true) return probe;
  const detail = probe?.detail ?? "it was not looked for";
  throw new ConsiliumError("config-invalid", `trainer.device asks for ${device}, which cannot be used: ${detail}`, {
    remedy: probe?.remedy ?? "set trainer.device to auto in site.yaml",
  });
}

function automaticReason({ device }: ProbedDevice, probed: Probed): string {
  const passedOver = automaticOrder.slice(0, automaticOrder.indexOf(device as "cpu"));
  const why = passedOver.map((name) => {
    const probe = probed(name);
    if (probe?.available === true) return `${name} would compute on the processor`;
    return `${name} is not available`;
  });
  return [`the first that serves of ${automaticOrder.join(", ")}`, ...why].join("; ");
}

function precisionOn(probe: ProbedDevice, asked: "auto" | "float32" | "mixed"): "float32" | "mixed" {
  if (asked === "float32") return "float32";
  const gains = probe.float16 === true;
  if (asked === "auto") return gains ? "mixed" : "float32";
  if (gains) return "mixed";
  throw new ConsiliumError(
    "config-invalid",
    `trainer.precision asks for mixed, but ${probe.device} (${probe.detail}) has no fast float16`,
    { remedy: "set trainer.precision to auto or float32 in site.yaml" },
  );
}
