import type { ModelConfig } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { initialTensors } from "../../../test/support/parameters.js";
import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { mae } from "./mae.js";

const model: ModelConfig = { architecture: "vit-nano", imageSize: 16, patchSize: 4 };
const config = {
  name: "mae",
  maskRatio: 0.75,
  decoderWidth: 32,
  decoderBlocks: 1,
  decoderHeads: 2,
  normalizePixels: true,
} as const;
const parameters = initialTensors(parameterLayout({ model, method: config }), 1);
const method = mae(model, config);

function toTensors(values: HostTensors, specs: TensorSpecs): NamedTensors {
  return Object.fromEntries(
    Object.entries(values).map(([name, { data, shape }]) => [
      name,
      tf.tensor(data, [...shape], specs[name]?.dtype === "int32" ? "int32" : "float32"),
    ]),
  );
}
const masks = toTensors(method.drawExtraInputs(2, randomFor("masks", 1)), method.extraInputs(2));
const view = wave([2, 16, 16, 3], 1);
const lossOf = (images: Tensor, extra: NamedTensors = masks, values: NamedTensors = parameters) =>
  method.loss(values, { ...extra, view: images }, {}).loss;

describe("mae", () => {
  it("starts near the variance of standardised pixels", () => {
    const start = lossOf(view).dataSync()[0] ?? 0;
    expect(start).toBeGreaterThan(0.8);
    expect(start).toBeLessThan(3);
  });

  it("is the variance of the pixels when it predicts their mean", () => {
    const silent = {
      ...parameters,
      "decoder_pred.weight": tf.zeros([48, 32]),
      "decoder_pred.bias": tf.zeros([48]),
    };
    // 47/48: the targets have unbiased variance one over 48 values.
    expectClose(lossOf(view, masks, silent), [47 / 48], 1e-4);
  });

  it("sees nothing of a hidden patch but its target", () => {
    const prediction = { ...config, normalizePixels: false };
    const hidden = Array.from(masks.mask?.dataSync() ?? []).indexOf(1);
    const changed = tf.buffer([2, 16, 16, 3], "float32", Float32Array.from(view.dataSync()));
    // A constant patch and another constant patch have the same standardised target, all zeros.
    const paint = (value: number) => {
      for (let pixel = 0; pixel < 16; pixel++) {
        const [row, column] = [4 * Math.floor(hidden / 4) + (pixel >> 2), 4 * (hidden % 4) + (pixel & 3)];
        for (let channel = 0; channel < 3; channel++) changed.set(value, 0, row, column, channel);
      }
      return tf.clone(changed.toTensor());
    };
    expectClose(lossOf(paint(0.2)), lossOf(paint(-3)).dataSync(), 1e-6);
    const raw = mae(model, prediction);
    const rawLoss = (images: Tensor) => raw.loss(parameters, { ...masks, view: images }, {}).loss.dataSync()[0] ?? 0;
    expect(Math.abs(rawLoss(paint(0.2)) - rawLoss(paint(-3)))).toBeGreaterThan(1e-2);
  });

  it("does not depend on the order in which patches are listed", () => {
    const swapped = toTensors(reversedOrder(), method.extraInputs(2));
    expectClose(lossOf(view, swapped), lossOf(view).dataSync(), 1e-5);
  });

  it("has the gradients of finite differences", () => {
    const names = [
      "cls_token",
      "patch_embed.proj.weight",
      "blocks.1.mlp.fc1.weight",
      "mask_token",
      "decoder_pred.bias",
    ];
    const some = Object.fromEntries(names.map((name) => [name, parameters[name]!]));
    expectGradients((tensors) => lossOf(view, masks, { ...parameters, ...tensors }), some, { tolerance: 1e-2 });
  });
});

/** The same masks with the visible and the hidden patches of every image listed backwards. */
function reversedOrder(): HostTensors {
  const shuffle = Array.from(masks.shuffle?.dataSync() ?? []);
  const backwards = [0, 1].map((image) => {
    const places = shuffle.slice(16 * image, 16 * image + 16);
    return [...places.slice(0, 4).reverse(), ...places.slice(4).reverse()];
  });
  const column = (values: readonly (readonly number[])[]) => {
    const data = Int32Array.from(values.flat());
    return { shape: [data.length], data };
  };
  return {
    visible: column(backwards.map((places) => places.slice(0, 4))),
    shuffle: column(backwards),
    restore: column(backwards.map((places) => places.map((_, place) => places.indexOf(place)))),
    mask: { shape: [2, 16], data: Float32Array.from(masks.mask?.dataSync() ?? []) },
  };
}
