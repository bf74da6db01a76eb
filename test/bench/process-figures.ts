import { readFileSync } from "node:fs";

export interface ProcessFigures {
  /** User and system time. */
  readonly cpuSeconds: number;
  readonly peakRssMiB: number;
}

/** What a living process has used so far, and the most memory it has held. Linux only. */
export function processFigures(pid: number): ProcessFigures {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1];
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, peakRssMiB: Number(peak) / 1024 };
}
