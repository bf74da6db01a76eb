import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { resnetStatistics } from "@consilium/shared/params/resnet.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, noise } from "../../../test/support/golden.js";
import { initialTensors } from "../../../test/support/parameters.js";
import type { NamedTensors } from "../model/tensors.js";
import { tf } from "../model/tf.js";
import { createMethod } from "./methods.js";

const runOf = (model: object) =>
  runConfigSchema.parse({
    ...{ name: "simclr", modality: "dermatology", model: { imageSize: 8, ...model }, rounds: 1 },
    method: { name: "simclr", projectionDim: 16 },
    optimizer: { learningRate: 1e-3 },
  });
const vit = { architecture: "vit-nano", patchSize: 4 };
const parameters = initialTensors(parameterLayout(runOf(vit)), 1);
const method = createMethod(runOf(vit));
const batch = { view1: noise([4, 8, 8, 3], 1), view2: noise([4, 8, 8, 3], 2) };

describe("simclr", () => {
  it("asks for two views and nothing else", () => {
    expect(method.views.map(({ name, size }) => [name, size])).toEqual([
      ["view1", 8],
      ["view2", 8],
    ]);
    expect(method.extraInputs(4)).toEqual({});
    expect(method.drawExtraInputs(4, randomFor("unused"))).toEqual({});
    expect(method.carried).toBeUndefined();
  });

  it("draws the branches of a transformer with stochastic depth for each view", () => {
    const deep = createMethod(runOf({ ...vit, dropPath: 0.5 }));
    expect(deep.extraInputs(4)).toEqual({ branches: { shape: [4, 2, 8], dtype: "float32" } });
    const lossOf = (scale: number) =>
      deep.loss(parameters, { ...batch, branches: tf.fill([4, 2, 8], scale) }, {}).loss.dataSync()[0] ?? 0;
    expect(lossOf(1)).toBeCloseTo(method.loss(parameters, batch, {}).loss.dataSync()[0] ?? 0, 5);
    expect(Math.abs(lossOf(0) - lossOf(1))).toBeGreaterThan(1e-4);
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

describe("simclr on a residual network", () => {
  it("starts near ln(2n - 1) and takes over the statistics that it observed", () => {
    const run = runOf({ architecture: "resnet18" });
    const onResnet = createMethod(run);
    const values = initialTensors(parameterLayout(run), 1);
    const specs = resnetStatistics("resnet18").map(({ name, shape }) => [name, tf.zeros([...shape])] as const);
    const carried: NamedTensors = Object.fromEntries(specs);
    expect(Object.keys(onResnet.carried?.specs ?? {})).toEqual(Object.keys(carried));
    const { loss, observed = {} } = onResnet.loss(values, batch, carried);
    expect(Math.abs((loss.dataSync()[0] ?? 0) - Math.log(7))).toBeLessThan(0.7);
    expect(Object.keys(observed)).toEqual(Object.keys(carried));
    const after = onResnet.carried!.afterStep({ parameters: values, carried, observed, scalars: {} });
    for (const name of Object.keys(carried)) {
      expect(tf.max(tf.abs(after[name]!)).dataSync()[0], name).toBeGreaterThan(0);
      expectClose(after[name]!, observed[name]!.dataSync(), 0);
    }
  }, 60_000);
});
