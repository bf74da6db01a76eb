import { type ModelConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { expectGradients, noise } from "../../../test/support/golden.js";
import { initialTensors } from "../../../test/support/parameters.js";
import { tf } from "../model/tf.js";
import { simclr } from "./simclr.js";

const model: ModelConfig = { architecture: "vit-nano", imageSize: 8, patchSize: 4 };
const config = { name: "simclr", temperature: 0.5, projectionDim: 16, pooling: "mean" } as const;
const parameters = initialTensors(parameterLayout({ model, method: config }), 1);
const run = runConfigSchema.parse({
  ...{ name: "simclr", modality: "dermatology", model, method: config, rounds: 1 },
  optimizer: { learningRate: 1e-3 },
});
const method = simclr(model, config, run);
const batch = { view1: noise([4, 8, 8, 3], 1), view2: noise([4, 8, 8, 3], 2) };

describe("simclr", () => {
  it("asks for two views and nothing else", () => {
    expect(method.views.map(({ name, size }) => [name, size])).toEqual([
      ["view1", 8],
      ["view2", 8],
    ]);
    expect(method.extraInputs(4)).toEqual({});
    expect(method.drawExtraInputs(4, randomFor("unused"))).toEqual({});
  });

  it("starts near ln(2n - 1)", () => {
    const { loss, terms } = method.loss(parameters, batch, {});
    expect(Math.abs((loss.dataSync()[0] ?? 0) - Math.log(7))).toBeLessThan(0.3);
    expect(terms.featureSpread?.dataSync()[0]).toBeGreaterThan(0);
  });

  it("reports no spread when all images look alike", () => {
    const { terms } = method.loss(parameters, { view1: tf.ones([4, 8, 8, 3]), view2: tf.ones([4, 8, 8, 3]) }, {});
    expect(terms.featureSpread?.dataSync()[0]).toBeLessThan(1e-3);
  });

  it("has the gradients of finite differences", () => {
    const names = ["cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "head.fc2.weight"];
    const some = Object.fromEntries(names.map((name) => [name, parameters[name]!]));
    expectGradients((tensors) => method.loss({ ...parameters, ...tensors }, batch, {}).loss, some, {
      step: 1e-3,
      tolerance: 1e-2,
    });
  });

  it("gives every tensor a gradient", () => {
    const names = Object.keys(parameters);
    const gradients = tf.grads((...tensors) => {
      const named = Object.fromEntries(names.map((name, index) => [name, tensors[index]!]));
      return method.loss(named, batch, {}).loss;
    })(Object.values(parameters));
    for (const [index, name] of names.entries()) {
      const largest = tf.max(tf.abs(gradients[index]!)).dataSync()[0];
      expect(largest, name).toBeGreaterThan(0);
    }
  });
});
