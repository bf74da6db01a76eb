import { ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import { tf } from "../../model/tf.js";
import type { Program } from "../program.js";
import { checkMemory, type MemoryQuestion } from "./check-memory.js";

/** Needs 8 × 1.1 + 4 KiB for each image. */
function programFor(batchSize: number): Program {
  return {
    name: `test step, batch ${batchSize}`,
    inputs: { images: { shape: [batchSize, 1024], dtype: "float32" } },
    build: ({ images }) => ({ loss: tf.sum(tf.tanh(tf.exp(tf.sqrt(images!)))) }),
  };
}

const question: MemoryQuestion = {
  ...{ programFor, batchSize: 100, recompute: false, separable: false },
  passes: { products: "fused" },
};

function refused(changes: Partial<MemoryQuestion>): ConsiliumError {
  try {
    checkMemory({ ...question, ...changes });
  } catch (error) {
    if (error instanceof ConsiliumError) return error;
  }
  throw new Error("was not refused");
}

describe("checkMemory", () => {
  it("says what a step needs where it fits", () => {
    const { totalBytes } = checkMemory({ ...question, available: 2e6 });
    expect(totalBytes / 100 / 1024).toBeCloseTo(8 * 1.1 + 4, 1);
  });

  it("fits into this process where nothing else is said", () => {
    expect(checkMemory({ ...question, batchSize: 1 }).totalBytes).toBeLessThan(20_000);
  });

  it("advises the fewest equal parts that fit, where parts help", () => {
    expect(refused({ available: 700_000, separable: true }).remedy).toContain("training.microBatches to 2,");
    expect(refused({ available: 400_000, separable: true }).remedy).toContain("training.microBatches to 4,");
    expect(refused({ available: 700_000 }).remedy).not.toContain("microBatches");
  });

  it("refuses with the batch size that fits, and that one is accepted", () => {
    const { code, message, remedy } = refused({ available: 700_000 });
    expect(code).toBe("out-of-memory");
    expect(message).toContain("test step, batch 100 needs 1.3 MiB");
    const fits = Number(/batchSize to (\d+)/.exec(remedy ?? "")?.[1]);
    expect(fits).toBeGreaterThan(50);
    expect(() => checkMemory({ ...question, batchSize: fits, available: 700_000 })).not.toThrow();
    expect(() => checkMemory({ ...question, batchSize: fits + 1, available: 700_000 })).toThrow(/needs/);
  });
});
