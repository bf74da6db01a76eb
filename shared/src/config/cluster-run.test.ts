import { describe, expect, it } from "vitest";
import { parseYaml } from "./load-yaml.js";
import { architectureName, runConfigSchema } from "./run-config.js";

const minimal = `name: c
modality: pathology
method: { name: clusters }
rounds: 5
`;
const parse = (text: string) => parseYaml(text, runConfigSchema, "run.yaml");

describe("a run of clusters", () => {
  it("needs neither model, optimizer nor training, and reads back as it is stored", () => {
    const config = parse(minimal);
    expect(config.method).toEqual({ name: "clusters", clusters: 100, minImages: 20, featureLimit: 10 });
    expect(config.training.stepsPerRound).toBe(1);
    expect(architectureName(config)).toBe("none");
    expect(runConfigSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each([
    ["model: { architecture: vit-base }", "model: clusters trains no model"],
    ["optimizer: { learningRate: 0.1 }", "optimizer: clusters trains no model"],
    ["training: { stepsPerRound: 50 }", "training: clusters trains no model"],
    ["aggregation: { strategy: { name: fedema } }", "aggregation.strategy: clusters adds statistics up"],
    ["aggregation: { l2Clip: 10 }", "aggregation.l2Clip: clusters needs 1000 at least"],
    ["augmentations: {}", "unknown key 'augmentations' — did you mean 'augmentation'?"],
  ])("refuses %s", (line, message) => {
    expect(() => parse(`${minimal}${line}\n`)).toThrow(`run.yaml:5: ${message}`);
  });

  it("refuses a single round", () => {
    expect(() => parse(minimal.replace("rounds: 5", "rounds: 1"))).toThrow("rounds: clusters needs 2 at least");
  });

  it.each(["null", "[]", "method: clusters\n", "method: { name: simclr }\n"])("leaves %j alone", (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });
});
