import { methodNames } from "@consilium/shared/config/method-config.js";
import { runConfigSchema, totalSteps } from "@consilium/shared/config/run-config.js";
import { architectureOf } from "@consilium/shared/params/architecture.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { describe, expect, it } from "vitest";
import { imageSize, settingOf } from "./settings.js";

const choice = { seed: 3, steps: 120, modality: "pathology" };

describe.each(methodNames)("%s", (name) => {
  const config = settingOf(name, choice);

  it("is a whole run configuration of the method, of one round with all steps", () => {
    expect(runConfigSchema.parse(config)).toEqual(config);
    expect(config.method.name).toBe(name);
    expect(config).toMatchObject({ seed: 3, modality: "pathology", rounds: 1 });
    expect(totalSteps(config)).toBe(120);
    expect(checkpointLayout(config).dimension).toBeGreaterThan(0);
  });

  it("has the one model that all methods are compared on", () => {
    expect(config.model).toEqual(settingOf("simclr", choice).model);
    expect(config.model).toMatchObject({ architecture: "vit-nano", imageSize, patchSize: 8 });
    expect(architectureOf(config.model as { architecture: "vit-nano" } & typeof config.model)).toMatchObject({
      width: 96,
      depth: 4,
    });
  });
});
