import { ConsiliumError } from "@consilium/shared/errors.js";
import { expect, it } from "vitest";
import type { DeviceName } from "./device.js";
import type { DeviceDriver, DeviceDrivers } from "./device-drivers.js";
import { examine } from "./doctor.js";

const refused = () =>
  Promise.reject(new ConsiliumError("config-invalid", "the driver is too old", { remedy: "update" }));
const missing = (device: DeviceName): DeviceDriver => ({
  probe: async () => ({ device, available: false, detail: "not there", remedy: `get ${device}` }),
  open: refused,
});
const drivers: DeviceDrivers = {
  cuda: missing("cuda"),
  webgpu: { probe: async () => ({ device: "webgpu", available: true, detail: "a GPU" }), open: refused },
  cpu: { probe: async () => ({ device: "cpu", available: true, detail: "2 threads" }), open: refused },
  tensorflow: missing("tensorflow"),
};
const parts = { now: () => 0 };

it("shows every device and what auto would take, without a test when none is wanted", async () => {
  const report = await examine({ device: "cpu", test: false }, parts, drivers);
  expect(report.devices.map(({ device }) => device)).toEqual(["cuda", "webgpu", "cpu", "tensorflow"]);
  expect(report.automatic).toMatchObject({ device: "webgpu" });
  expect(report.chosen).toMatchObject({ device: "cpu" });
  expect(report.machine.threads).toBeGreaterThan(0);
  expect(report.test).toBeUndefined();
});

it("says what is wrong with a device that cannot be chosen, and tests nothing", async () => {
  const report = await examine({ device: "cuda", test: true }, parts, drivers);
  expect(report.chosen).toEqual({ message: expect.stringContaining("not there"), remedy: "get cuda" });
  expect(report.test).toBeUndefined();
});

it("reports a device that was found and then fails", async () => {
  const { test } = await examine({ device: "auto", test: true }, parts, drivers);
  expect(test).toEqual({ passed: false, checks: [], failure: { message: "the driver is too old", remedy: "update" } });
});
