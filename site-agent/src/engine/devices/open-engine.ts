import type { Engine } from "../program.js";
import { automaticOrder, chooseDevice, type ProbedDevice, servesAuto } from "./choose-device.js";
import type { DeviceName, OpenedEngine } from "./device.js";
import { type DeviceDrivers, deviceDrivers, type OpenRequest } from "./device-drivers.js";

/**
 * Finds out which device serves the request and makes its engine. "auto" looks no further than the first that serves.
 * @throws ConsiliumError "config-invalid" when the device or the precision that is asked for cannot be had, with what
 *   was found and what to do
 */
export async function openEngine(request: OpenRequest, drivers: DeviceDrivers = deviceDrivers): Promise<OpenedEngine> {
  const probes = await probeFor(request, drivers);
  const decision = chooseDevice(request, probes);
  const engine: Engine = await drivers[decision.device].open(request, decision.precision);
  return { engine, ...decision };
}

/** What the choice needs to know, cheapest first: loading a GPU library takes seconds and memory. */
async function probeFor(request: OpenRequest, drivers: DeviceDrivers): Promise<ProbedDevice[]> {
  const names: readonly DeviceName[] = request.device === "auto" ? automaticOrder : [request.device];
  const probes: ProbedDevice[] = [];
  for (const name of names) {
    const probe = await drivers[name].probe(request);
    probes.push(probe);
    if (servesAuto(probe)) break;
  }
  return probes;
}
