import { ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import { isOutOfMemory, outOfMemoryError } from "./out-of-memory.js";

const gib = 2 ** 30;
const needs = { needed: 12 * gib, available: 8 * gib };
const shortage = { program: "mae step, batch 64", ...needs, fits: 40, recompute: false };

describe("outOfMemoryError", () => {
  it("names the need, what there is and what would fit", () => {
    const error = outOfMemoryError(shortage);
    expect(error.code).toBe("out-of-memory");
    expect(error.message).toBe("mae step, batch 64 needs 12.0 GiB, and 8.0 GiB is available");
    expect(error.remedy).toMatch(/^set training\.batchSize to 40 in the run file; or set training\.recompute: true/);
  });

  it("advises parts of a batch where they help", () => {
    expect(outOfMemoryError({ ...shortage, microBatches: 2 }).remedy).toContain("training.microBatches to 2");
    expect(outOfMemoryError(shortage).remedy).not.toContain("microBatches");
  });

  it("does not advise what is done already", () => {
    const { remedy } = outOfMemoryError({ ...shortage, recompute: true, fits: 0 });
    expect(remedy).not.toMatch(/recompute|batchSize/);
    expect(remedy).toContain("model.architecture");
  });
});

describe("isOutOfMemory", () => {
  it.each([
    "std::bad_alloc",
    "Non-zero status code returned while running Gemm node. Name:'Gemm.1' Status Message: bad allocation",
    "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 4294967296",
    "Available memory of 1024 is smaller than requested bytes of 2048",
    "CUDA failure 2: out of memory ; GPU=0",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY",
    "Buffer size (8589934592) exceeds the max buffer size limit (2147483648).",
    "Array buffer allocation failed",
    "WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.",
    "OOM when allocating tensor with shape[64,197,768]",
  ])("knows %s", (message) => {
    expect(isOutOfMemory(new Error(message))).toBe(true);
  });

  it("looks at causes and texts", () => {
    const wrapped = new ConsiliumError("internal", "program step failed", { cause: new Error("std::bad_alloc") });
    expect(isOutOfMemory(wrapped)).toBe(true);
    expect(isOutOfMemory("out of memory")).toBe(true);
    expect(isOutOfMemory(outOfMemoryError(shortage))).toBe(true);
  });

  it.each([new Error("Got invalid dimensions for input: view"), undefined, 3, "failed"])(
    "leaves %s alone",
    (thrown) => {
      expect(isOutOfMemory(thrown)).toBe(false);
    },
  );
});
