import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lineageHolds, SmallFederation } from "../support/small-federation.js";

describe("a federation of three hospitals", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites: ["north", "south", "west"] });
    await federation.start();
  }, 120_000);

  afterAll(() => federation.remove(), 60_000);

  it("pretrains with SimCLR over masked aggregation, and exports what was learned", async () => {
    const runId = await federation.launch();
    const run = await federation.finished(runId);
    expect(run.history).toHaveLength(3);
    expect(run.history.every((record) => record.cohort.length === 3 && record.attempts === 1)).toBe(true);
    expect(run.history.every((record) => record.weight === 72)).toBe(true);
    // Two views of eight images: NT-Xent starts at about ln(15).
    expect(run.history[0]!.loss).toBeGreaterThan(1.5);
    expect(run.history[0]!.loss).toBeLessThan(3.5);
    expect(lineageHolds(run)).toBe(true);

    const out = join(federation.directory, "weights");
    await federation.consilium("run", "export", runId, "--out", out);
    expect(existsSync(join(out, "encoder.onnx"))).toBe(true);
    expect(statSync(join(out, "encoder.safetensors")).size).toBeGreaterThan(1_000_000);
  }, 180_000);

  it("pretrains with MAE", async () => {
    const method = { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 4 };
    const run = await federation.finished(await federation.launch({ name: "tiny-mae", method, rounds: 2 }));
    expect(run.history).toHaveLength(2);
    expect(run.history[0]!.loss).toBeGreaterThan(0.3);
    expect(run.history[0]!.loss).toBeLessThan(4);
  }, 180_000);

  it("keeps images, paths and names out of everything that it logs at the coordinator", () => {
    const log = readFileSync(join(federation.directory, "logs", "coordinator.log"), "utf8");
    expect(log).not.toMatch(/\.png|labels\.csv/);
  });
});
