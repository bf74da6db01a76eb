import { expect, it } from "vitest";
import { gpuError } from "./gpu-errors.js";

/** As ONNX Runtime and Dawn word them. */
it.each([
  [
    "This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.",
    "kernel-missing",
    "trainer.device",
  ],
  [
    "WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.",
    "out-of-memory",
    "smaller batch",
  ],
  [
    "WebGPU validation failed. Buffer size (1600000000) exceeds the max buffer size limit (1073741824).",
    "out-of-memory",
    "smaller batch",
  ],
  ["vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY", "out-of-memory", "smaller batch"],
  ["CUDA failure 2: out of memory ; GPU=0", "out-of-memory", "smaller batch"],
  ["vkQueueSubmit failed with VK_ERROR_DEVICE_LOST", "internal", "start again"],
  ["WebGPU device lost (2): Device was destroyed.", "internal", "start again"],
])("%s", (reason, code, remedy) => {
  const cause = new Error(reason);
  const error = gpuError("program p failed on WebGPU", cause);
  expect(error).toMatchObject({ code, cause });
  expect(error.message).toMatch(/^program p failed on WebGPU: /);
  expect(error.remedy).toContain(remedy);
});

it("says what was thrown where nothing is known about it", () => {
  const error = gpuError("program p failed on CUDA", "odd");
  expect(error).toMatchObject({ code: "internal", message: "program p failed on CUDA: odd", remedy: undefined });
});
