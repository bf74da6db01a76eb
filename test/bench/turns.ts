import type { StepProcess } from "./step-process.js";

/** Steps taken before the clock runs, and in every turn. */
const warmUp = 2;
const stepsPerTurn = 3;

interface Turns {
  readonly ours: StepProcess;
  readonly peer: StepProcess | undefined;
  readonly turns: number;
}

/** One after the other, so that whatever else the machine does meets both. */
export async function takeTurns({ ours, peer, turns }: Turns) {
  const all = { ours: [] as number[], peer: [] as number[], ratios: [] as number[] };
  await ours.steps(warmUp);
  await peer?.steps(warmUp);
  for (let turn = 0; turn < turns; turn++) {
    const mine = await ours.steps(stepsPerTurn);
    const theirs = (await peer?.steps(stepsPerTurn)) ?? [];
    all.ours.push(...mine);
    all.peer.push(...theirs);
    if (theirs.length > 0) all.ratios.push(median(theirs) / median(mine));
  }
  return all;
}

export function figuresOf(stepMs: readonly number[], batch: number) {
  const middle = median(stepMs);
  return {
    imagesPerSecond: round((1000 * batch) / middle, 2),
    stepMsMedian: round(middle, 1),
    stepMsLeast: round(Math.min(...stepMs), 1),
    stepMsMost: round(Math.max(...stepMs), 1),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}
