import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
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
    const [first, second] = run.history.map(({ figures }) => figures);
    const names = ["aggregateNorm", "effectiveRank", "featureSpread", "updateNorm"];
    expect(Object.keys(first!).sort()).toEqual(names);
    expect(Object.keys(second!).sort()).toEqual([...names, "cosine"].sort());
    // Three sites whose updates have little in common: each makes a third of the mean.
    expect(second!["cosine"]).toBeGreaterThan(0.4);
    expect(second!["aggregateNorm"]! / second!["updateNorm"]!).toBeGreaterThan(0.4);
    expect(second!["aggregateNorm"]! / second!["updateNorm"]!).toBeLessThan(1.001);

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

  it("averages the teacher and the centres of DINO, and exports the teacher", async () => {
    const head = { outputDim: 32, hiddenDim: 32, bottleneckDim: 16, localCrops: 2, localSize: 16, momentum: 0.9 };
    const runId = await federation.launch({ name: "tiny-dino", method: { name: "dino", ...head }, rounds: 2 });
    await federation.finished(runId);
    const out = join(federation.directory, "dino");
    await federation.consilium("run", "export", runId, "--out", out);
    const { tensors } = await readSafetensors(join(out, "checkpoint.safetensors"));
    const of = (name: string) => tensors.get(name)?.data ?? new Float32Array(0);
    const name = "blocks.0.mlp.fc1.weight";
    expect(of("centre.class").some((value) => value !== 0)).toBe(true);
    expect(of(`teacher.${name}`)).not.toEqual(of(name));
    const encoder = await readSafetensors(join(out, "encoder.safetensors"));
    expect(encoder.metadata).toMatchObject({ method: "dino", network: "teacher", pooling: "class" });
    expect(encoder.tensors.get(name)?.data).toEqual(of(`teacher.${name}`));
    expect([...encoder.tensors.keys()].filter((key) => /^(?:teacher|dino_head)/.test(key))).toEqual([]);
  }, 180_000);

  it("follows FedEMA with a teacher that stays at each site", async () => {
    const method = { name: "byol", hiddenDim: 32, projectionDim: 16, momentum: 0.9 };
    const aggregation = { strategy: { name: "fedema" }, teacher: "local" };
    const runId = await federation.launch({ name: "tiny-byol", method, aggregation, rounds: 3 });
    const run = await federation.finished(runId);
    expect(run.history).toHaveLength(3);
    const out = join(federation.directory, "byol");
    await federation.consilium("run", "export", runId, "--out", out, "--no-onnx");
    const { tensors } = await readSafetensors(join(out, "checkpoint.safetensors"));
    expect([...tensors.keys()].filter((key) => key.startsWith("teacher."))).toEqual([]);
    expect(tensors.has("predictor.fc1.weight")).toBe(true);
  }, 180_000);

  it("keeps images, paths and names out of everything that it logs at the coordinator", () => {
    const log = readFileSync(join(federation.directory, "logs", "coordinator.log"), "utf8");
    expect(log).not.toMatch(/\.png|labels\.csv/);
  });
});
