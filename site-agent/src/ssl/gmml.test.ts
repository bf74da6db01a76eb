import { type MethodOf, methodSchema } from "@consilium/shared/config/method-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { initialTensors } from "../../../test/support/parameters.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { corruptedBatch } from "./corruption.js";
import { gmml } from "./gmml.js";
import { corruptedBatchOf } from "./testing/corrupted-batch.js";

const model = { architecture: "vit-nano", imageSize: 8, patchSize: 4 } as const;
const config = methodSchema.parse({ name: "gmml" }) as MethodOf<"gmml">;
const parameters = initialTensors(parameterLayout({ model, method: config }), 1);
const method = gmml(model, config);
const batch = corruptedBatchOf({ images: 3, size: 8 }, config);
const lossOf = (values: NamedTensors = {}, inputs: NamedTensors = {}) =>
  method.loss({ ...parameters, ...values }, { ...batch, ...inputs }, {}).loss;

/** Weights with which gradients are large enough to measure: the first ones are small. */
const grown = Object.fromEntries(
  Object.entries(parameters).map(([name, value]) => [
    name,
    name.startsWith("reconstruction.") ? tf.mul(value, 4) : value,
  ]),
);

describe("gmml", () => {
  it("asks for two views, each clean, corrupted and with a map", () => {
    expect(method.views.map(({ name, channels, kind }) => `${name} ${channels} ${kind}`)).toEqual([
      ...["view1 3 pixels", "view1Corrupted 3 map", "view1Map 1 map"],
      ...["view2 3 pixels", "view2Corrupted 3 map", "view2Map 1 map"],
    ]);
    expect(method.separable).toBe(false);
    expect(method.carried).toBeUndefined();
  });

  it("starts near the mean magnitude of corrupted pixels", () => {
    const { clean, mask } = corruptedBatch(batch);
    const silent = tf.div(tf.sum(tf.mul(tf.abs(clean), mask)), tf.mul(tf.sum(mask), 3)).dataSync()[0] ?? Number.NaN;
    const zeros = tf.zerosLike(parameters["reconstruction.deconv.weight"]!);
    expectClose(lossOf({ "reconstruction.deconv.weight": zeros }), [silent]);
    expect(Math.abs((lossOf().dataSync()[0] ?? 0) - silent)).toBeLessThan(0.05);
  });

  it("does not know which view is the first", () => {
    const swapped = Object.fromEntries(
      Object.entries(batch).map(([name, value]) => [
        name.replace(/view[12]/, (view) => (view === "view1" ? "view2" : "view1")),
        value,
      ]),
    );
    expectClose(lossOf({}, swapped), lossOf().dataSync(), 1e-6);
  });

  it("sees nothing of a corrupted pixel but its target", () => {
    // Without other images in it: what is clean in one view may be another image's pixels.
    const alone = corruptedBatchOf({ images: 3, size: 8 }, { ...config, alienShare: 0 });
    const { mask } = corruptedBatch(alone);
    const [first] = tf.split(mask, 2, 0);
    const changed = tf.add(alone["view1"]!, tf.mul(wave([3, 8, 8, 3], 2), first as Tensor));
    const monitor = (view1: Tensor) => method.loss(parameters, { ...alone, view1 }, {}).terms["featureSpread"]!;
    expectClose(monitor(changed), monitor(alone["view1"]!).dataSync(), 0);
    expect(lossOf({}, { ...alone, view1: changed }).dataSync()[0]).not.toBe(lossOf({}, alone).dataSync()[0]);
  });

  it("has the gradients of finite differences", () => {
    const names = ["cls_token", "patch_embed.proj.weight", "blocks.1.mlp.fc1.weight", "blocks.3.attn.qkv.weight"];
    const heads = ["norm.weight", "reconstruction.fc1.weight", "reconstruction.deconv.weight"];
    const some = Object.fromEntries([...names, ...heads].map((name) => [name, grown[name]!]));
    expectGradients((tensors) => lossOf({ ...grown, ...tensors }), some, { tolerance: 1e-2 });
  });

  it("gives every tensor a gradient", () => {
    const names = Object.keys(parameters);
    const gradients = tf.grads((...tensors) =>
      lossOf(Object.fromEntries(names.map((name, index) => [name, tensors[index]!]))),
    )(Object.values(parameters));
    for (const [index, name] of names.entries()) {
      expect(tf.max(tf.abs(gradients[index]!)).dataSync()[0], name).toBeGreaterThan(0);
    }
  });

  it("leaves branches out where the model says so", () => {
    const shallow = gmml({ ...model, dropPath: 0.5 }, config);
    const spec = shallow.extraInputs(3)["branches"];
    expect(spec?.shape).toEqual([3, 2, 8]);
    expect(method.extraInputs(3)).toEqual({});
    expect(Object.keys(shallow.drawExtraInputs(3, randomFor("branches")))).toEqual(["branches"]);
    const withBranches = (value: number) =>
      shallow.loss(grown, { ...batch, branches: tf.fill([3, 2, 8], value) }, {}).loss.dataSync();
    expectClose(withBranches(1), lossOf(grown).dataSync(), 1e-6);
    // Without any branch nothing depends on the blocks.
    const others = { ...grown, "blocks.0.mlp.fc2.bias": tf.ones([96]) };
    const without = { ...batch, branches: tf.zeros([3, 2, 8]) };
    expectClose(shallow.loss(others, without, {}).loss, withBranches(0), 0);
    expect(withBranches(0)[0]).not.toBe(withBranches(1)[0]);
  });
});
