import type { HostTensors } from "../model/tensors.js";
import type { DeviceName } from "./devices/device.js";
import { type StepCalls, type StepsPerCall, stepsPerCall } from "./devices/steps-per-call.js";
import { type TrainStepOptions, trainStepProgram } from "./train-step.js";

/** Beyond this, copying the state takes a small share of the time on any device, and a round is seldom interrupted. */
const mostPerCall = 8;

/** One step of a program is one run of it. */
export const oneStepPerCall: StepCalls = {
  count: 1,
  join: ([step]): HostTensors => step ?? {},
  split: (outputs) => [outputs],
};

/**
 * How many training steps one run takes: several on CUDA, whose binding copies the state to the host after every run; as
 * many as divide a round, at most eight.
 */
export function callSize(device: DeviceName, stepsPerRound: number): number {
  if (device !== "cuda") return 1;
  for (let count = mostPerCall; count > 1; count--) if (stepsPerRound % count === 0) return count;
  return 1;
}

/** The program of a call. Where it holds several steps, it keeps the state of those that fail by itself. */
export function stepCalls(options: TrainStepOptions, count: number): StepsPerCall {
  if (count === 1) return { ...oneStepPerCall, program: trainStepProgram(options) };
  return stepsPerCall(trainStepProgram({ ...options, guard: "graph" }), count);
}
