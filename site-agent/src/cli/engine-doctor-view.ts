import { formatBytes } from "@consilium/shared/terminal/format.js";
import { fieldLines, tableLines } from "@consilium/shared/terminal/table.js";
import type { ProbedDevice } from "../engine/devices/choose-device.js";
import type { DoctorReport, Machine } from "../engine/devices/doctor.js";
import type { SelfTestReport } from "../engine/devices/self-test.js";

/**
 * What `engine doctor` says on a terminal.
 * @param settings where the device that is asked for comes from
 */
export function doctorLines({ machine, devices, automatic, chosen, test }: DoctorReport, settings: string): string[] {
  return [
    ...machineLines(machine, settings),
    "",
    ...tableLines(
      [{ title: "DEVICE" }, { title: "FOUND" }, { title: "DETAIL", maxWidth: 200 }],
      devices.map((device) => [device.device, foundText(device), device.detail]),
    ),
    ...devices.flatMap(remedyLine),
    "",
    ...fieldLines([
      ["auto", decisionText(automatic)],
      ...(isSame(automatic, chosen) ? [] : [["chosen", decisionText(chosen)] as const]),
    ]),
    ...(test === undefined ? [] : ["", ...testLines(test)]),
  ];
}

function machineLines(machine: Machine, settings: string): string[] {
  const { processor, threads, memoryBytes, availableMemoryBytes, system, node } = machine;
  return fieldLines([
    ["processor", `${processor}, ${threads} threads`],
    ["memory", `${formatBytes(availableMemoryBytes)} of ${formatBytes(memoryBytes)} available`],
    ["system", `${system}, Node ${node}`],
    ["settings", settings],
  ]);
}

function foundText({ available, software }: ProbedDevice): string {
  if (!available) return "no";
  return software === true ? "in software" : "yes";
}

function remedyLine({ device, available, remedy }: ProbedDevice): string[] {
  return available || remedy === undefined ? [] : [`  → for ${device}: ${remedy}`];
}

function decisionText(decision: DoctorReport["chosen"]): string {
  if (!("device" in decision)) return `nothing: ${decision.message}`;
  return `${decision.device} in ${decision.precision}, ${decision.reason}`;
}

function isSame(automatic: DoctorReport["automatic"], chosen: DoctorReport["chosen"]): boolean {
  return decisionText(automatic) === decisionText(chosen);
}

function testLines({ checks, speed, passed }: SelfTestReport): string[] {
  const rows = checks.map(({ name, difference, limit, passed: right }) => {
    return [name, difference.toExponential(1), limit.toExponential(0), right ? "ok" : "WRONG"];
  });
  const columns = [
    { title: "COMPARED WITH THE REFERENCE" },
    { title: "DIFFERENCE", align: "right" as const },
    { title: "LIMIT", align: "right" as const },
    { title: "" },
  ];
  return [
    ...tableLines(columns, rows),
    ...(speed === undefined ? [] : ["", ...fieldLines([["speed", speedText(speed)]])]),
    ...(passed ? ["", "passed"] : []),
  ];
}

function speedText({
  step,
  batchSize,
  stepsPerSecond,
  firstLoss,
  lastLoss,
}: NonNullable<SelfTestReport["speed"]>): string {
  const rate = stepsPerSecond < 10 ? stepsPerSecond.toFixed(1) : stepsPerSecond.toFixed(0);
  const loss = `loss ${firstLoss.toPrecision(4)} → ${lastLoss.toPrecision(4)}`;
  return `${rate} steps/s (${step} of a tiny model, ${batchSize} images of 32 px), ${loss}`;
}
