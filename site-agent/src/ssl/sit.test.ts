import type { MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { initialTensors } from "../../../test/support/parameters.js";
import { normalised } from "../model/normalise.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, type Tensor2D, tf } from "../model/tf.js";
import { teacherMomentum } from "./carried.js";
import { withPrefix } from "./ema.js";
import { infoNce } from "./info-nce.js";
import { contrastiveProjection, sit } from "./sit.js";
import { corruptedBatchOf } from "./testing/corrupted-batch.js";

const images = 4;

function setUp(settings: Partial<MethodOf<"sit">> = {}) {
  const run = runConfigSchema.parse({
    name: "sit",
    modality: "radiograph",
    model: { architecture: "vit-nano", imageSize: 8, patchSize: 4 },
    method: { name: "sit", hiddenDim: 12, projectionDim: 8, ...settings },
    optimizer: { learningRate: 1e-3 },
    rounds: 2,
  });
  const [model, config] = [run.model as VitConfig, run.method as MethodOf<"sit">];
  const method = sit(model, config, run);
  const parameters = initialTensors(parameterLayout({ model, method: config }), 1);
  const teacher = withPrefix(initialTensors(parameterLayout({ model, method: config }), 2), "teacher.");
  const carried = Object.fromEntries(Object.keys(method.carried?.specs ?? {}).map((name) => [name, teacher[name]!]));
  return { config, method, parameters, carried, batch: corruptedBatchOf({ images, size: 8 }, config) };
}

const { config, method, parameters, carried, batch } = setUp({ headNorm: "layer" });
/** Of the contrast when all images look alike. */
const chance = 4 * config.temperature * Math.log(images);

interface Changes {
  readonly values?: NamedTensors;
  readonly inputs?: NamedTensors;
  readonly state?: NamedTensors;
}

function contrastOf({ values = {}, inputs = {}, state = {} }: Changes): Tensor {
  const { terms } = method.loss({ ...parameters, ...values }, { ...batch, ...inputs }, { ...carried, ...state });
  return terms["contrastive"]!;
}

const rolled = (x: Tensor): Tensor => {
  const [first, rest] = tf.split(x, [1, images - 1], 0) as [Tensor, Tensor];
  return tf.concat([rest, first], 0);
};

describe("contrastiveProjection", () => {
  const [inputs, hidden, outputs] = [6, 8, 4];
  const build = (shift: number): NamedTensors => ({
    "contrastive.fc1.weight": wave([hidden, inputs], shift + 1, 0.5),
    "contrastive.fc1.bias": wave([hidden], shift + 2, 0.1),
    "contrastive.norm1.weight": tf.add(1, wave([hidden], 2, 0.1)),
    "contrastive.norm1.bias": wave([hidden], 3, 0.1),
    "contrastive.fc2.weight": wave([hidden, hidden], shift + 3, 0.5),
    "contrastive.fc2.bias": wave([hidden], shift + 4, 0.1),
    "contrastive.norm2.weight": tf.add(1, wave([hidden], 4, 0.1)),
    "contrastive.norm2.bias": wave([hidden], 5, 0.1),
    "contrastive.fc3.weight": wave([outputs, hidden], shift + 5, 0.5),
    "contrastive.fc3.bias": wave([outputs], shift + 6, 0.1),
  });

  // Values: PyTorch 2.13, float64.
  it.each([
    ["batch", [-1.1721876193926113, -1.206891063200132, -1.2177314696194292, -1.2303424588231522], 1.8263942919019138],
    ["layer", [0.9987121836159406, -1.0012742129430694, -0.998710014289157, 1.0012720436162843], 1.459593725187798],
  ] as const)("has the values of an independent evaluation, norms over the %s", (headNorm, row, contrast) => {
    const settings = { ...config, headNorm };
    const queries = contrastiveProjection(wave([5, inputs], 0) as Tensor2D, build(0), settings);
    const keys = contrastiveProjection(wave([5, inputs], 1) as Tensor2D, build(0.5), settings);
    expectClose(tf.slice(queries, [0, 0], [1, outputs]), row);
    expectClose(infoNce(queries, keys, 0.2), [contrast]);
  });
});

describe("sit", () => {
  it("has a teacher with a contrastive head, but nothing that restores pixels", () => {
    const names = Object.keys(carried);
    expect(names).toContain("teacher.contrastive.fc1.weight");
    expect(names).toContain("teacher.blocks.3.attn.qkv.weight");
    expect(names.filter((name) => name.includes("reconstruction"))).toEqual([]);
    expect(Object.keys(method.scalars ?? {})).toEqual([teacherMomentum]);
    expect(method.scalars?.[teacherMomentum]?.(0)).toBe(config.momentum);
    expect(method.separable).toBe(false);
  });

  it("adds the weighted restoration to the contrast", () => {
    const heavy = setUp({ headNorm: "layer", reconstructionWeight: 5 });
    const { loss, terms } = heavy.method.loss(parameters, batch, carried);
    const parts = [terms["contrastive"]!, terms["reconstruction"]!].map((term) => term.dataSync()[0] ?? Number.NaN);
    expectClose(loss, [parts[0]! + 5 * parts[1]!], 1e-6);
    expect(parts[1]).toBeGreaterThan(0.5);
    expect(parts[1]).toBeLessThan(2);
  });

  it("is 4 τ ln n when all images look alike, to the student or to the teacher", () => {
    const alike = (x: Tensor): Tensor =>
      tf.concat(
        Array.from({ length: images }, () => tf.slice(x, 0, 1)),
        0,
      );
    const inputs = Object.fromEntries(Object.entries(batch).map(([name, value]) => [name, alike(value)]));
    expectClose(contrastOf({ inputs }), [chance], 1e-5);
    const blind = { "contrastive.fc3.weight": tf.zeros([8, 12]), "contrastive.fc3.bias": tf.zeros([8]) };
    expectClose(contrastOf({ values: blind }), [chance], 1e-5);
    expectClose(contrastOf({ state: withPrefix(blind, "teacher.") }), [chance], 1e-5);
    expect(Math.abs((contrastOf({}).dataSync()[0] ?? 0) - chance)).toBeGreaterThan(1e-3);
  });

  it("compares each view with the other one", () => {
    const same = withPrefix(parameters, "teacher.");
    const state = Object.fromEntries(Object.keys(carried).map((name) => [name, same[name]!]));
    // Both views are the same images, uncorrupted; then those of the second change places.
    const nothing = tf.zeros([images, 8, 8, 1]);
    const bytes = batch["view1Corrupted"]!;
    const seen = (second: Tensor) => ({
      ...{ view1: normalised(bytes), view1Corrupted: bytes, view1Map: nothing },
      ...{ view2: normalised(second), view2Corrupted: second, view2Map: nothing },
    });
    const [matched = 0, mismatched = 0] = [bytes, rolled(bytes)].map(
      (second) => contrastOf({ inputs: seen(second), state }).dataSync()[0],
    );
    expect(matched).toBeLessThan(chance);
    expect(matched).toBeLessThan(mismatched - 0.1);
  });

  it("shows the student corrupted images and the teacher clean ones", () => {
    const [before] = contrastOf({}).dataSync();
    const elsewhere = { view1: tf.add(batch["view1"]!, wave([images, 8, 8, 3], 4)) };
    expect(contrastOf({ inputs: elsewhere }).dataSync()[0]).not.toBe(before);
    const all = tf.fill([images, 8, 8, 1], 4);
    // Nothing is left for the student to see: it takes all images for one.
    const blind = { view1Map: all, view2Map: all };
    const features = method.loss(parameters, { ...batch, ...blind }, carried).terms["featureSpread"]!;
    expect(features.dataSync()[0]).toBeLessThan(1e-3);
  });

  // Over a batch of images that a fresh encoder hardly tells apart, norms make the loss steep, so that steps are short.
  it.each([
    ["layer", 1e-3],
    ["batch", 1e-4],
  ] as const)("has the gradients of finite differences, norms over the %s", (headNorm, step) => {
    const own = setUp({ headNorm });
    const names = ["cls_token", "patch_embed.proj.weight", "blocks.3.attn.qkv.weight", "norm.weight"];
    const heads = ["contrastive.fc1.weight", "contrastive.norm2.bias", "contrastive.fc3.weight"];
    const some = Object.fromEntries([...names, ...heads].map((name) => [name, own.parameters[name]!]));
    expectGradients(
      (tensors) => own.method.loss({ ...own.parameters, ...tensors }, own.batch, own.carried).loss,
      some,
      {
        step,
        tolerance: 1e-2,
      },
    );
  });

  it("gives every tensor a gradient", () => {
    const names = Object.keys(parameters);
    const gradients = tf.grads((...tensors) => {
      const values = Object.fromEntries(names.map((name, index) => [name, tensors[index]!]));
      return method.loss(values, batch, carried).loss;
    })(Object.values(parameters));
    for (const [index, name] of names.entries()) {
      expect(tf.max(tf.abs(gradients[index]!)).dataSync()[0], name).toBeGreaterThan(0);
    }
  });
});
