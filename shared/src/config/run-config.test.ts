import { describe, expect, it } from "vitest";
import { parseYaml } from "./load-yaml.js";
import { runConfigSchema, totalSteps } from "./run-config.js";

const minimal = `
name: derm
modality: dermatology
model: { architecture: vit-nano, imageSize: 48, patchSize: 8 }
method: { name: simclr }
optimizer: { learningRate: 0.001 }
rounds: 4
`;

const parse = (text: string) => parseYaml(text, runConfigSchema, "run.yaml");

describe("runConfigSchema", () => {
  it("fills in every default", () => {
    const config = parse(minimal);
    expect(config.method).toEqual({ name: "simclr", temperature: 0.5, projectionDim: 128, pooling: "mean" });
    expect(config.cohort).toEqual({ minSites: 3, maxSites: 128, colluders: 0 });
    expect(totalSteps(config)).toBe(4 * 50);
  });

  it("refuses a patch size that does not divide the image", () => {
    expect(() => parse(minimal.replace("patchSize: 8", "patchSize: 7"))).toThrow(/run\.yaml:4: .*not a multiple/);
  });

  it("refuses a cohort in which two honest sites could not hide", () => {
    expect(() => parse(`${minimal}cohort: { minSites: 3, colluders: 2 }\n`)).toThrow(/at least colluders \+ 2 = 4/);
  });

  it("has AdamW unless told otherwise, and refuses options of the other optimiser", () => {
    expect(parse(minimal).optimizer).toMatchObject({
      name: "adamw",
      weightDecay: 0.05,
      beta2: 0.999,
      clipping: "tensor",
    });
    const lars = minimal.replace("learningRate: 0.001", "name: lars, learningRate: 0.2");
    expect(parse(lars).optimizer).toMatchObject({ name: "lars", weightDecay: 1.5e-6, trustCoefficient: 0.001 });
    expect(() => parse(lars.replace("0.2", "0.2, beta1: 0.9"))).toThrow(/unknown key 'optimizer\.beta1'/);
    expect(() => parse(minimal.replace("optimizer", "optimiser"))).toThrow(
      "run.yaml:2: optimizer: is missing\nrun.yaml:6: unknown key 'optimiser' — did you mean 'optimizer'?",
    );
    expect(() => parse(lars.replace("lars", "adam"))).toThrow(/run\.yaml:6: .*use adamw \(the default\), lars or sgd/);
  });

  it("names an unknown method or option with its line and what was probably meant", () => {
    const dyno = minimal.replace("name: simclr", "name: dyno");
    expect(() => parse(dyno)).toThrow(/run\.yaml:5: method\.name: there is no method 'dyno' — did you mean 'dino'\?/);
    const misspelt = minimal.replace("name: simclr", "name: simclr, temprature: 0.2");
    expect(() => parse(misspelt)).toThrow(/unknown key 'method\.temprature' — did you mean 'temperature'\?/);
  });

  it("refuses batches, crops, masks and models that a method cannot work with", () => {
    const changed = (method: string, rest = "") => parse(minimal.replace("name: simclr", method) + rest);
    expect(() => changed("name: simclr", "training: { batchSize: 1 }\n")).toThrow(/images of a batch: at least 2/);
    expect(() => changed("name: dino, localSize: 96")).toThrow(/localSize.*larger than imageSize/);
    expect(() => changed("name: dino, localSize: 25")).toThrow(/25 is not a multiple of patchSize/);
    expect(() => changed("name: ibot, maskRatio: [0.1, 1]")).toThrow(/leave no patch visible/);
    expect(() => changed("name: mae, maskRatio: 0.999")).toThrow(/leaves 0 of \d+ patches visible/);
    expect(() => changed("name: ibot, maskRatio: [0.5, 0.2]")).toThrow(/0\.5 is more than 0\.2/);
    const resnet = minimal.replace("vit-nano, imageSize: 48, patchSize: 8", "resnet18");
    expect(() => parse(resnet.replace("name: simclr", "name: dino"))).toThrow(/dino works on patches: choose a vit/);
    const odd = resnet.replace("resnet18", "resnet18, imageSize: 72").replace("simclr", "colorme");
    expect(() => parse(odd)).toThrow(/72 is not a multiple of 32/);
    const masked = minimal
      .replace("patchSize: 8", "patchSize: 8, registers: 4, dropPath: 0.1")
      .replace("simclr", "mae");
    expect(() => parse(masked)).toThrow(/registers: mae has none\n.*dropPath: mae has no stochastic depth/);
    expect(parse(resnet).model).toEqual({ architecture: "resnet18", imageSize: 224 });
  });

  it("refuses micro-batches that are not the undivided step", () => {
    const masked = minimal.replace("name: simclr", "name: mae");
    const training = (microBatches: number) => `training: { batchSize: 12, microBatches: ${microBatches} }\n`;
    expect(parse(masked + training(4)).training.microBatches).toBe(4);
    expect(() => parse(masked + training(5))).toThrow(/run\.yaml:8: .*does not divide batchSize 12/);
    expect(() => parse(minimal + training(4))).toThrow(/must be 1: simclr compares/);
  });

  it("refuses an option of another method", () => {
    expect(() => parse(minimal.replace("name: simclr", "name: simclr, maskRatio: 0.5"))).toThrow(
      /unknown key 'method\.maskRatio'/,
    );
  });

  it("has augmentations of one modality for that modality only, and none unless asked", () => {
    const augmented = (modality: string, augmentation: string) =>
      parse(`${minimal.replace("modality: dermatology", `modality: ${modality}`)}augmentation: { ${augmentation} }\n`);
    expect(parse(minimal).augmentation).toEqual({});
    expect(augmented("pathology", "stain: { hed: 0.05 }").augmentation).toEqual({
      stain: { reinhard: 0, profiles: [], hed: 0.05 },
    });
    expect(augmented("radiograph", "radiograph: { gamma: 0.2 }").augmentation.radiograph).toEqual({
      window: 0,
      gamma: 0.2,
    });
    expect(() => augmented("dermatology", "stain: {}")).toThrow(/run\.yaml:8: augmentation\.stain: is for stained/);
    expect(() => augmented("pathology", "radiograph: {}")).toThrow(/is for X-rays/);
    expect(() => augmented("radiograph", "colourConstancy: true")).toThrow(/is for colour images/);
    expect(() => augmented("pathology", "stain: { reinhard: 0.5 }")).toThrow(/needs profiles to choose from/);
    const profiles = "profiles: [[60, 20, -15, 15, 8, 6]]";
    expect(augmented("pathology", `stain: { reinhard: 0.5, ${profiles} }`).augmentation.stain?.profiles).toHaveLength(
      1,
    );
  });
});
