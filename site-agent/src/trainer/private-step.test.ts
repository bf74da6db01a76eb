import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { describe, expect, it } from "vitest";
import { compiledCpuEngine } from "../engine/compiled-engine.js";
import type { TrainerParts } from "./prepared-run.js";
import { compilePatientStep } from "./private-step.js";
import { trainJobSchema } from "./protocol.js";
import { privateRun } from "./test-private-run.js";

const job = trainJobSchema.parse({
  ...{
    runId: "run-1",
    round: 0,
    config: privateRun,
    checkpointPath: "checkpoint",
    firstStep: 0,
    threads: 1,
    siteId: "site-a",
    drawSeed: 1,
  },
  ...{ stateDirectory: "state", data: { path: "images" }, privacy: { samplingRate: 0.5, noiseMultiplier: 1 } },
});

const parts: TrainerParts = {
  openEngine: () => Promise.reject(new Error("not asked")),
  openViewMaker: () => {
    throw new Error("not asked");
  },
  now: () => 0,
  entropy: systemEntropy,
};

async function compiled(of: typeof job): Promise<void> {
  const engine = compiledCpuEngine({ threads: 1 });
  const step = await compilePatientStep(of, { engine, device: "cpu", reason: "test", precision: "float32" }, parts);
  await step.release();
}

describe("the step of a round that is private by patient", () => {
  it("is refused for a method that couples images, whatever the run's configuration was checked by", async () => {
    const { privacy: _none, ...rest } = privateRun;
    const { method } = runConfigSchema.parse({ ...rest, method: { name: "simclr" } });
    const coupled = compiled({ ...job, config: { ...job.config, method } });
    await expect(coupled).rejects.toThrow(/privacy of patients is not possible here: simclr/);
  });

  it("is not made for a job that does not say what was charged", async () => {
    await expect(compiled({ ...job, privacy: undefined })).rejects.toMatchObject({ code: "internal" });
  });
});
