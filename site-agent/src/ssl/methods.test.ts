import { isSeparable, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { createMethod } from "./methods.js";

const configOf = (method: object) =>
  runConfigSchema.parse({
    name: "methods",
    modality: "radiograph",
    model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
    method,
    optimizer: { learningRate: 1e-3 },
    rounds: 1,
  });

describe("createMethod", () => {
  it("makes the method that a run names", () => {
    expect(createMethod(configOf({ name: "simclr" })).name).toBe("simclr");
    expect(createMethod(configOf({ name: "mae" })).name).toBe("mae");
  });

  it.each(["simclr", "mae"] as const)("says of %s what the run's checks say", (name) => {
    expect(createMethod(configOf({ name })).separable).toBe(isSeparable(configOf({ name })));
  });

  it("refuses a mask that hides every patch", () => {
    expect(() => createMethod(configOf({ name: "mae", maskRatio: 0.99 }))).toThrow(/leaves 0 of 16/);
  });
});
