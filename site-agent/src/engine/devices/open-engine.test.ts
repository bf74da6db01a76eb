import { expect, it } from "vitest";
import { eagerEngine } from "../eager-engine.js";
import type { ProbedDevice } from "./choose-device.js";
import type { DeviceName } from "./device.js";
import type { DeviceDrivers } from "./device-drivers.js";
import { openEngine } from "./open-engine.js";

function machine(found: Partial<Record<DeviceName, Partial<ProbedDevice>>>) {
  const [probed, opened]: [DeviceName[], string[]] = [[], []];
  const driver = (device: DeviceName) => ({
    async probe(): Promise<ProbedDevice> {
      probed.push(device);
      return { device, available: device in found, detail: "a test's", ...found[device] };
    },
    async open(_request: object, precision: string) {
      opened.push(`${device} ${precision}`);
      return eagerEngine();
    },
  });
  const drivers: DeviceDrivers = {
    ...{ cpu: driver("cpu"), webgpu: driver("webgpu"), cuda: driver("cuda"), tensorflow: driver("tensorflow") },
  };
  return { drivers, probed, opened };
}

it("looks no further than the first device that serves", async () => {
  const { drivers, probed, opened } = machine({ webgpu: { float16: true }, cpu: {} });
  expect(await openEngine({ device: "auto" }, drivers)).toMatchObject({ device: "webgpu", precision: "mixed" });
  expect([probed, opened]).toEqual([["cuda", "webgpu"], ["webgpu mixed"]]);
});

it("looks past a device in software", async () => {
  const { drivers, opened } = machine({ webgpu: { software: true }, cpu: {} });
  await openEngine({ device: "auto" }, drivers);
  expect(opened).toEqual(["cpu float32"]);
});

it("looks only for what is asked for, and opens nothing when it is not there", async () => {
  const { drivers, probed, opened } = machine({ cpu: {} });
  await expect(openEngine({ device: "tensorflow" }, drivers)).rejects.toThrow("asks for tensorflow");
  expect([probed, opened]).toEqual([["tensorflow"], []]);
});

it("opens the processor for real", async () => {
  const { engine, reason } = await openEngine({ device: "cpu", threads: 1 });
  expect([engine.name, reason]).toEqual(["onnx-cpu", "asked for"]);
});
