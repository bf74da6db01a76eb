import { availableParallelism, cpus, totalmem } from "node:os";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { availableMemory, readMemory } from "../memory/available-memory.js";
import { chooseDevice, type DeviceDecision, type ProbedDevice } from "./choose-device.js";
import { type DeviceDrivers, deviceDrivers, type OpenRequest } from "./device-drivers.js";
import { type SelfTestParts, type SelfTestReport, selfTest } from "./self-test.js";

export interface Machine {
  readonly processor: string;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly availableMemoryBytes: number;
  readonly system: string;
  readonly node: string;
}

export interface Problem {
  readonly message: string;
  readonly remedy?: string;
}

export interface DoctorReport {
  readonly machine: Machine;
  readonly devices: readonly ProbedDevice[];
  /** What `trainer.device: auto` means on this machine. */
  readonly automatic: DeviceDecision | Problem;
  /** What was asked for, and so tested. */
  readonly chosen: DeviceDecision | Problem;
  /** Absent when nothing could be chosen, or no test was wanted. */
  readonly test?: SelfTestReport;
}

export interface DoctorRequest extends OpenRequest {
  /** False: only look. */
  readonly test: boolean;
}

/** Looks for every device and tests the one that the request asks for. What is wrong is in the report. */
export async function examine(
  request: DoctorRequest,
  parts: SelfTestParts,
  drivers: DeviceDrivers = deviceDrivers,
): Promise<DoctorReport> {
  const devices: ProbedDevice[] = [];
  // One after the other: each may load a library that takes the machine's attention.
  for (const driver of Object.values(drivers)) devices.push(await driver.probe(request));
  const chosen = decide(request, devices);
  const report = { machine: machine(), devices, automatic: decide({ device: "auto" }, devices), chosen };
  if (!("device" in chosen) || !request.test) return report;
  return { ...report, test: await testDevice(request, chosen, { parts, drivers }) };
}

function decide(
  request: Pick<OpenRequest, "device" | "precision">,
  devices: readonly ProbedDevice[],
): DoctorReport["chosen"] {
  try {
    return chooseDevice(request, devices);
  } catch (thrown) {
    return problemOf(thrown);
  }
}

async function testDevice(
  request: OpenRequest,
  decision: DeviceDecision,
  { parts, drivers }: { parts: SelfTestParts; drivers: DeviceDrivers },
): Promise<SelfTestReport> {
  try {
    const engine = await drivers[decision.device].open(request, decision.precision);
    return await selfTest({ engine, ...decision }, parts);
  } catch (thrown) {
    return { passed: false, checks: [], failure: problemOf(thrown) };
  }
}

function problemOf(thrown: unknown): Problem {
  const { message, remedy } = asConsiliumError(thrown);
  return { message, ...(remedy === undefined ? {} : { remedy }) };
}

function machine(): Machine {
  const { version, platform, arch } = process;
  return {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    threads: availableParallelism(),
    memoryBytes: totalmem(),
    availableMemoryBytes: availableMemory(readMemory()),
    system: `${platform} ${arch}`,
    node: version,
  };
}
