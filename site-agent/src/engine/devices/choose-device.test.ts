import { describe, expect, it } from "vitest";
import { chooseDevice, type ProbedDevice } from "./choose-device.js";
import type { EngineRequest } from "./device.js";

const cpu: ProbedDevice = { device: "cpu", available: true, detail: "2 threads" };
const webgpu: ProbedDevice = { device: "webgpu", available: true, detail: "NVIDIA H200 through Vulkan", float16: true };
const software: ProbedDevice = { device: "webgpu", available: true, detail: "SwiftShader", software: true };
const cuda: ProbedDevice = { device: "cuda", available: true, detail: "NVIDIA H200", float16: true };
const noCuda: ProbedDevice = { device: "cuda", available: false, detail: "no provider", remedy: "install it" };
const noTensorflow: ProbedDevice = { device: "tensorflow", available: false, detail: "not installed" };

const choose = (probes: ProbedDevice[], request: Partial<EngineRequest> = {}) =>
  chooseDevice({ device: "auto", ...request }, probes);

describe("auto", () => {
  it.each([
    ["cuda", [cuda, webgpu, cpu]],
    ["webgpu", [noCuda, webgpu, cpu]],
    ["cpu", [noCuda, software, cpu]],
    ["cpu", [cpu]],
    ["cuda", [cpu, webgpu, cuda]],
  ])("takes %s, by its own order", (device, probes) => {
    expect(choose(probes).device).toBe(device);
  });

  it("never takes native TensorFlow", () => {
    expect(choose([{ ...noTensorflow, available: true }, cpu]).device).toBe("cpu");
  });

  it("says why it passed others over", () => {
    const { reason } = choose([noCuda, software, cpu]);
    expect(reason).toContain("the first that serves of cuda, webgpu, cpu");
    expect(reason).toContain("cuda is not available");
    expect(reason).toContain("webgpu would compute on the processor");
  });

  it("points to the doctor when nothing serves", () => {
    expect(() => choose([noCuda])).toThrow("no device of cuda, webgpu, cpu can be used");
  });
});

describe("a device that is asked for", () => {
  it("is taken, also one in software", () => {
    expect(choose([software], { device: "webgpu" })).toMatchObject({ device: "webgpu", reason: "asked for" });
  });

  it("is refused with what was found and what to do", () => {
    const refused = () => choose([noCuda, cpu], { device: "cuda" });
    expect(refused).toThrow("trainer.device asks for cuda, which cannot be used: no provider");
    expect(refused).toThrow(expect.objectContaining({ code: "config-invalid", remedy: "install it" }));
    expect(() => choose([noTensorflow], { device: "tensorflow" })).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining("auto") }),
    );
  });
});

describe("precision", () => {
  it.each([
    ["mixed", [cuda], {}],
    ["mixed", [webgpu], { precision: "mixed" }],
    ["float32", [webgpu], { precision: "float32" }],
    ["float32", [{ ...webgpu, float16: false }], {}],
    ["float32", [cpu], {}],
  ] as const)("is %s", (precision, probes, request) => {
    expect(choose([...probes], request).precision).toBe(precision);
  });

  it.each([cpu, software])("refuses mixed where there is no fast float16: $detail", (probe) => {
    const refused = () => choose([probe], { device: probe.device, precision: "mixed" });
    expect(refused).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(refused).toThrow(probe.detail);
  });
});
