import { describe, expect, it } from "vitest";
import { batchCoupling } from "./batch-coupling.js";
import { parseYaml } from "./load-yaml.js";
import { runConfigSchema } from "./run-config.js";

const run = (privacy: string, changes: Readonly<Record<string, string>> = {}) => {
  const lines = {
    model: "{ architecture: vit-nano, imageSize: 48, patchSize: 8 }",
    method: "{ name: mae }",
    training: "{ batchSize: 64 }",
    monitor: '{ collapse: "off" }',
    ...changes,
  };
  const text = Object.entries(lines).map(([key, value]) => `${key}: ${value}\n`);
  const rest = "name: derm\nmodality: dermatology\noptimizer: { learningRate: 0.001 }\nrounds: 4\n";
  return parseYaml(`${text.join("")}${rest}privacy: ${privacy}\n`, runConfigSchema, "run.yaml");
};

const patient = "{ mode: patient, clip: 1, noiseMultiplier: 1, delta: 1e-6, leastPatients: 2000 }";

describe("privacySchema", () => {
  it("is none unless a run asks for it", () => {
    expect(run("{ mode: none }").privacy).toEqual({ mode: "none" });
    expect(run(patient).privacy).toMatchObject({ mode: "patient", clip: 1, imagesPerPatient: 1, leastPatients: 2000 });
  });

  it("takes the noise or what it is to achieve, not both and not neither", () => {
    expect(() => run(patient.replace("noiseMultiplier: 1,", ""))).toThrow(/either epsilon/);
    expect(() => run(patient.replace("clip: 1,", "clip: 1, epsilon: 8,"))).toThrow(/either epsilon/);
  });

  it("refuses unknown modes and keys, with the line", () => {
    expect(() => run("{ mode: hospital }")).toThrow(/run\.yaml:9.*use none \(the default\), patient or site/);
    expect(() => run(patient.replace("clip: 1,", "clip: 1, clipp: 7,"))).toThrow(/run\.yaml:9.*clipp/);
  });

  it("refuses an alarm that looks at figures which do not travel", () => {
    expect(() => run(patient, { monitor: "{}" })).toThrow(/monitor\.collapse: must be off/);
  });

  it("refuses a step that draws more patients than there are, and micro-batches", () => {
    expect(() => run(patient.replace("2000", "63"))).toThrow(/of 63 patients, a step cannot draw 64/);
    expect(() => run(patient, { training: "{ batchSize: 64, microBatches: 2 }" })).toThrow(
      /no meaning in mode patient/,
    );
  });

  it.each([
    ["simclr", "{ name: simclr }", /simclr compares the images of a batch/],
    ["sit", "{ name: sit }", /sit compares the images of a batch/],
    ["dino", "{ name: dino, localSize: 24 }", /dino centres its teacher/],
    ["ibot", "{ name: ibot, localSize: 24 }", /ibot centres its teacher/],
    ["dinov2 with KoLeo", "{ name: dinov2, localSize: 24 }", /dinov2 pushes the images of a batch apart/],
    [
      "dinov2 with Sinkhorn-Knopp",
      "{ name: dinov2, localSize: 24, teacherNormalization: sinkhorn-knopp }",
      /balances its teacher over the batch/,
    ],
    ["byol with batch norm", "{ name: byol }", /byol normalises over the batch/],
    ["gmml with pixels of other images", "{ name: gmml }", /gmml fills images with pixels of others/],
  ])("refuses %s with patients' privacy, saying why", (_name, method, reason) => {
    expect(() => run(patient, { method })).toThrow(reason);
  });

  it.each(["{ name: byol, headNorm: layer }", "{ name: gmml, alienShare: 0 }", "{ name: colorme }", "{ name: mae }"])(
    "takes %s, whose loss is each image's own",
    (method) => {
      const config = run(patient, { method });
      expect(batchCoupling(config)).toBeUndefined();
    },
  );

  it("refuses a residual network, which normalises over the batch", () => {
    const changes = { method: "{ name: colorme }", model: "{ architecture: resnet18, imageSize: 64 }" };
    expect(() => run(patient, changes)).toThrow(/colorme normalises over the batch/);
  });
});
