import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { probeWebgpu } from "@consilium/site-agent/engine/devices/webgpu-probe.js";
import { beforeAll, describe, expect, it } from "vitest";
import type { StepsSeen } from "./webgpu-steps.js";

/** A Vulkan driver that computes on the processor, as Debian's chromium brings it. */
const driver = "/usr/lib/chromium/vk_swiftshader_icd.json";
const environment = { ...process.env, VK_ICD_FILENAMES: driver };
const probeEntry = fileURLToPath(new URL("../../site-agent/dist/engine/devices/webgpu-probe-main.js", import.meta.url));
const stepsEntry = fileURLToPath(new URL("./webgpu-steps.ts", import.meta.url));
const methodsEntry = fileURLToPath(new URL("./webgpu-methods.ts", import.meta.url));
const absent = "skipped where Debian's packages `chromium` and `libvulkan1` are absent";

function messageOf<Message>(entry: string): Promise<Message> {
  return new Promise((resolve, reject) => {
    const child = fork(entry, { env: environment, execArgv: ["--import", "tsx"] });
    child.once("message", (seen) => resolve(seen as Message));
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`the process ended with ${signal ?? code}`)));
  });
}

describe.skipIf(!existsSync(driver))(`WebGPU on SwiftShader (${absent})`, () => {
  let seen: Record<string, StepsSeen>;

  beforeAll(async () => {
    if (!existsSync(probeEntry)) throw new Error("run `npm run build` first: this test starts built modules");
    seen = await messageOf(stepsEntry);
  }, 300_000);

  it("is found, and known to compute on the processor", async () => {
    expect(await probeWebgpu({ entryPath: probeEntry, environment })).toEqual({
      device: "webgpu",
      available: true,
      detail: "SwiftShader on the processor",
      software: true,
    });
  });

  it("has kernels for every method's training step", async () => {
    expect(await messageOf(methodsEntry)).toEqual({ faults: {} });
  }, 300_000);

  describe.each(["simclr", "mae"])("training steps of %s", (method) => {
    it("have the losses that they have on the processor", () => {
      for (const { loss, expectedLoss, finite } of seen[method]!.steps) {
        expect(finite).toBe(1);
        expect(Math.abs(loss / expectedLoss - 1)).toBeLessThan(1e-4);
      }
    });

    it("lead to the same parameters and moments", () => {
      expect(seen[method]!.drift).toBeLessThan(1e-2);
    });

    it("send the state once, then batches, and fetch scalars only", () => {
      const { steps, stateBytes, batchBytes } = seen[method]!;
      expect(steps.map(({ transfers }) => transfers.uploadedBytes)).toEqual(
        steps.map((_, index) => stateBytes + (index + 1) * batchBytes),
      );
      expect(steps.at(-1)!.transfers.downloadedBytes).toBeLessThan(steps.length * 64);
    });

    it("say that a loss is no number, and leave the state as it is when they are refused", () => {
      expect(seen[method]!.notFinite).toEqual({ finite: 0, kept: true });
    });
  });
});

describe("probeWebgpu", () => {
  it("says what to install where there is no adapter", async () => {
    const none = { ...process.env, VK_ICD_FILENAMES: "/nowhere.json", VK_DRIVER_FILES: "/nowhere.json" };
    const probe = await probeWebgpu({ entryPath: probeEntry, environment: none });
    expect(probe).toMatchObject({ device: "webgpu", available: false, detail: "no graphics adapter was found" });
    expect(probe.remedy).toContain("libvulkan1");
  });

  it("survives a driver that ends its process or hangs", async () => {
    const broken = await probeWebgpu({ entryPath: "/nowhere.js" });
    expect(broken).toMatchObject({ available: false, detail: "the driver ended the probing process (exit code 1)" });
    const slow = await probeWebgpu({ entryPath: probeEntry, timeoutMs: 1 });
    expect(slow).toMatchObject({ available: false, detail: "the driver did not answer within 0.001 s" });
  });
});
