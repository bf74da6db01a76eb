import type { Graph, Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { type BufferPlan, bytesOf, liveBytes, planBody, planBuffers } from "./buffers.js";

/** What one run of a program needs at its fullest moment, in bytes. */
export interface PeakMemory {
  /** Inputs that come back as outputs of the same name, once: parameters, moments, teachers. */
  readonly stateBytes: number;
  /** The other inputs: images, masks, scalars. */
  readonly batchBytes: number;
  /** Numbers that are part of the program, repeated to their full shapes. */
  readonly constantBytes: number;
  /** Values that wait for a later operation: activations for the backward pass, gradients for the update. */
  readonly activationBytes: number;
  /** Operands and results of the operation that runs at that moment. */
  readonly transientBytes: number;
  /** Everything, with the copies of the state that the place where it is held needs. */
  readonly totalBytes: number;
}

export interface PeakOptions {
  /** "host": the state lives in this process's memory; "device": it stays there. */
  readonly heldOn?: "host" | "device";
}

/** Two take turns as input and output. */
const stateCopies = 2;

/** On the host there is a third beside them: the one that a run starts from, and that which a save writes out. */
const savedCopies = 1;

/** The arena hands out chunks that are larger than asked for, and leaves gaps. */
const arenaSlack = 1.1;

/**
 * Memory of a run as ONNX Runtime plans it without memory patterns (with them the arena keeps a second block as large
 * as the first). Not included: the process itself, about 300 MB with TensorFlow.js and ONNX Runtime loaded.
 * @param graph as the device runs it, after `optimize`
 */
export function predictPeak(graph: Graph, { heldOn = "host" }: PeakOptions = {}): PeakMemory {
  const { kept, working } = fullestMoment(planBuffers(graph));
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const state = graph.inputs.filter(({ name }) => outputs.has(name));
  const stateBytes = total(state.map(({ value }) => value));
  const batchBytes = total(graph.inputs.map(({ value }) => value)) - stateBytes;
  const copies = stateCopies + (heldOn === "host" ? savedCopies : 0);
  const activationBytes = Math.ceil(kept * arenaSlack);
  const transientBytes = Math.ceil(working * arenaSlack);
  const constantBytes = constantsOf(graph);
  const totalBytes = copies * stateBytes + batchBytes + constantBytes + activationBytes + transientBytes;
  return { stateBytes, batchBytes, constantBytes, activationBytes, transientBytes, totalBytes };
}

function total(values: readonly Value[]): number {
  return values.reduce((sum, value) => sum + bytesOf(value), 0);
}

function constantsOf(graph: Graph): number {
  return operationsInOrder(graph).reduce((sum, { constant, outputs, body }) => {
    return sum + (constant === undefined ? 0 : total(outputs)) + (body === undefined ? 0 : constantsOf(body));
  }, 0);
}

interface Moment {
  readonly kept: number;
  readonly working: number;
}

/** Several moments are nearly as full as the fullest. */
const nearly = 0.99;

/** The most that buffers hold at once, and the most of it that an operation of such a moment works on. */
function fullestMoment(plan: BufferPlan): Moment {
  const live = liveBytes(plan);
  const all = live.reduce((most, bytes) => Math.max(most, bytes), 0);
  const working = plan.order.map(({ body }) => (body === undefined ? 0 : fullestMoment(planBody(body)).working));
  for (const { bytes, uses } of plan.buffers) for (const at of uses) working[at]! += bytes;
  const most = working.reduce((best, bytes, at) => (live[at]! >= nearly * all ? Math.max(best, bytes) : best), 0);
  return { kept: all - most, working: most };
}
