import { type OptimizeOptions, optimize } from "../passes/optimize.js";
import type { Program } from "../program.js";
import { traceProgram } from "../trace/trace-program.js";
import { availableMemory, readMemory } from "./available-memory.js";
import { fittingBatch } from "./fitting-batch.js";
import { outOfMemoryError } from "./out-of-memory.js";
import { type PeakMemory, predictPeak } from "./predict-peak.js";

export interface MemoryQuestion {
  /** The training step for a batch size. */
  readonly programFor: (batchSize: number) => Program;
  readonly batchSize: number;
  /** Of `training.recompute`. */
  readonly recompute: boolean;
  /** Of `training.microBatches`; absent: 1. */
  readonly microBatches?: number;
  /** Of the method: micro-batches change nothing but memory. */
  readonly separable: boolean;
  /** As the engine optimises for its device. */
  readonly passes: OptimizeOptions;
  /** Bytes that may be taken; absent: what this process may still allocate. */
  readonly available?: number;
}

/**
 * Predicts the memory of a training step before the first one is taken. Traces the program: about a second.
 * @returns what a step needs
 * @throws ConsiliumError "out-of-memory" with the batch size that would fit
 */
export function checkMemory(question: MemoryQuestion): PeakMemory {
  const { batchSize, recompute, microBatches = 1 } = question;
  const available = question.available ?? availableMemory(readMemory());
  const need = predict(question, batchSize);
  if (need.totalBytes <= available) return need;
  const needOf = (size: number): number => (size === batchSize ? need : predict(question, size)).totalBytes;
  const fits = fittingBatch({ batchSize, multipleOf: microBatches, available, needOf });
  throw outOfMemoryError({
    ...{ program: question.programFor(batchSize).name, needed: need.totalBytes, available, recompute, fits },
    ...partsThatFit(question, fits),
  });
}

/** A part may have as many images as each part of the largest batch that fits. */
function partsThatFit(question: MemoryQuestion, fits: number): { microBatches?: number } {
  const { batchSize, microBatches = 1, separable } = question;
  if (!separable) return {};
  const images = Math.floor(fits / microBatches);
  for (let parts = microBatches + 1; parts <= batchSize; parts++) {
    if (batchSize % parts === 0 && batchSize / parts <= images) return { microBatches: parts };
  }
  return {};
}

function predict({ programFor, passes }: MemoryQuestion, batchSize: number): PeakMemory {
  return predictPeak(optimize(traceProgram(programFor(batchSize)), passes));
}
