import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { resnetStatistics } from "@consilium/shared/params/resnet.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { initialTensors } from "../../../test/support/parameters.js";
import { normalised } from "../model/normalise.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { colourError } from "./colorme.js";
import { createMethod } from "./methods.js";

const run = (model: object, settings: object = {}) =>
  runConfigSchema.parse({
    name: "colorme",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 8, patchSize: 4, ...model },
    method: { name: "colorme", ...settings },
    optimizer: { learningRate: 1e-3 },
    rounds: 1,
  });
const resnetRun = (imageSize: number) =>
  runConfigSchema.parse({ ...run({}), model: { architecture: "resnet18", imageSize } });

const config = run({});
const parameters = initialTensors(parameterLayout(config), 1);
const method = createMethod(config);

/** Bytes of a batch, such that images differ in colour. */
function bytes(images: number, size: number): Tensor {
  const pixels = tf.mul(tf.add(wave([images, size, size, 3], 1), 1), 90);
  const tint = tf.mul(tf.add(wave([images, 1, 1, 3], 2), 1), 35);
  return tf.floor(tf.add(pixels, tint));
}
const raw = bytes(3, 8);
const lossOf = (images: Tensor, values: NamedTensors = parameters) =>
  method.loss(values, { view: normalised(images) }, {});

/** Scales each channel of [..., 3]. */
const scaled = (images: Tensor, ...factors: number[]) => tf.mul(images, tf.tensor1d(factors));

describe("colourError", () => {
  it("has the value of an independent evaluation, over three channels of which green is known", () => {
    const pixelsLast = (x: Tensor) => tf.transpose(tf.reshape(tf.div(tf.add(x, 1), 2), [2, -1, 4]), [0, 2, 1]);
    const truth = pixelsLast(wave([2, 3, 2, 2], 1));
    const colours = pixelsLast(wave([2, 2, 2, 2], 2));
    expectClose(tf.mul(colourError({ colours, truth }), 10), [1.7478968357782507], 1e-5);
  });
});

describe("colorme on a vision transformer", () => {
  it("asks for one view, carries nothing and takes images one by one", () => {
    expect(method.views).toEqual([{ name: "view", size: 8, channels: 3, kind: "pixels" }]);
    expect(method.carried).toBeUndefined();
    expect(method.separable).toBe(true);
  });

  it("weighs pixels and histogram", () => {
    const { loss, terms } = lossOf(raw);
    const [pixels, histogram] = [terms["pixels"]!, terms["histogram"]!];
    expectClose(loss, tf.add(tf.mul(pixels, 10), histogram).dataSync(), 1e-6);
    const heavy = createMethod(run({}, { pixelWeight: 2, histogramWeight: 3 }));
    const other = heavy.loss(parameters, { view: normalised(raw) }, {}).loss;
    expectClose(other, tf.add(tf.mul(pixels, 2), tf.mul(histogram, 3)).dataSync(), 1e-6);
  });

  it("sees green alone", () => {
    const seen = (images: Tensor) => lossOf(images).terms["effectiveRank"]!.dataSync();
    expectClose(seen(scaled(raw, 0.5, 1, 0.2)), seen(raw), 0);
    expect(Math.abs(seen(scaled(raw, 1, 0.5, 1))[0]! - seen(raw)[0]!)).toBeGreaterThan(1e-4);
    const error = (images: Tensor) => lossOf(images).terms["pixels"]!.dataSync()[0]!;
    expect(Math.abs(error(scaled(raw, 0.5, 1, 0.2)) - error(raw))).toBeGreaterThan(1e-4);
  });

  it("decodes a patch's token to its pixels, row by row, red then blue", () => {
    const patch = tf.floor(tf.mul(tf.add(wave([4, 4, 3], 1), 1), 127));
    const images = tf.tile(tf.reshape(patch, [1, 4, 4, 3]), [2, 2, 2, 1]);
    const [red, , blue] = tf.unstack(tf.div(patch, 255), 2);
    const known = {
      ...parameters,
      "decoder.colours.weight": tf.zeros([32, 96]),
      "decoder.colours.bias": tf.reshape(tf.stack([red!, blue!], 2), [32]),
    };
    expectClose(lossOf(images, known).terms["pixels"]!, [0], 1e-10);
  });

  it("has no loss for colours and shares that it knows", () => {
    const images = tf.mul(tf.ones([2, 8, 8, 3]), tf.tensor1d([255, 100, 51]));
    const bins = [0, 0, 0, 0, 1, 0, 1, 0, 0, 0];
    const known = {
      ...parameters,
      "decoder.colours.weight": tf.zeros([32, 96]),
      "decoder.colours.bias": tf.tile(tf.tensor1d([1, 0.2]), [16]),
      "histogram.weight": tf.zeros([10, 96]),
      "histogram.bias": tf.tensor1d(bins.map((bin) => 50 * bin)),
    };
    expectClose(lossOf(images, known).loss, [0], 1e-6);
  });

  it("starts near the mean square of the colours and ln 10 less the histogram's entropy", () => {
    const { terms } = lossOf(raw);
    const shown = tf.square(tf.div(raw, 255));
    const [red, , blue] = tf.unstack(tf.reshape(shown, [-1, 3]), 1);
    const expected = tf.div(tf.add(tf.sum(red!), tf.sum(blue!)), raw.size).dataSync()[0]!;
    expect(terms["pixels"]!.dataSync()[0]! / expected).toBeGreaterThan(0.8);
    expect(terms["pixels"]!.dataSync()[0]! / expected).toBeLessThan(1.2);
    expect(terms["histogram"]!.dataSync()[0]).toBeGreaterThan(0);
    expect(terms["histogram"]!.dataSync()[0]).toBeLessThan(Math.log(10));
  });

  it("has the gradients of finite differences", () => {
    const names = [
      "patch_embed.proj.weight",
      "blocks.1.mlp.fc1.weight",
      "norm.bias",
      "decoder.colours.weight",
      "histogram.weight",
    ];
    const some = Object.fromEntries(names.map((name) => [name, parameters[name]!]));
    expectGradients((given) => lossOf(raw, { ...parameters, ...given }).loss, some, { step: 3e-3, tolerance: 1e-2 });
  });

  it("gives every tensor a gradient", () => {
    const names = Object.keys(parameters);
    const gradients = tf.grads((...tensors: Tensor[]) => {
      return lossOf(raw, Object.fromEntries(names.map((name, index) => [name, tensors[index]!]))).loss;
    })(Object.values(parameters));
    for (const [index, name] of names.entries()) {
      expect(tf.max(tf.abs(gradients[index]!)).dataSync()[0], name).toBeGreaterThan(0);
    }
  });
});

describe("colorme on a residual network", () => {
  it("restores images of a multiple of 32 pixels, and follows the statistics of its norms", () => {
    const onResnet = createMethod(resnetRun(32));
    const values = initialTensors(parameterLayout(resnetRun(32)), 1);
    expect(values["conv1.weight"]!.shape).toEqual([64, 1, 7, 7]);
    expect(onResnet.separable).toBe(false);
    const specs = resnetStatistics("resnet18").map(({ name, shape }) => [name, tf.zeros([...shape])] as const);
    const carried: NamedTensors = Object.fromEntries(specs);
    expect(Object.keys(onResnet.carried?.specs ?? {})).toEqual(Object.keys(carried));
    // Colours start near zero.
    const images = bytes(2, 32);
    const started = onResnet.loss(values, { view: normalised(images) }, carried);
    const [red, , blue] = tf.unstack(tf.reshape(tf.square(tf.div(images, 255)), [-1, 3]), 1);
    const expected = tf.div(tf.add(tf.sum(red!), tf.sum(blue!)), images.size).dataSync()[0]!;
    expect(Math.abs(started.terms["pixels"]!.dataSync()[0]! / expected - 1)).toBeLessThan(0.5);
    expect(Object.keys(started.observed ?? {})).toEqual(Object.keys(carried));

    // A head that knows the one colour of each channel.
    const flat = tf.mul(tf.ones([2, 32, 32, 3]), tf.tensor1d([51, 100, 204]));
    const known = {
      ...values,
      "decoder.head.weight": tf.zeros(values["decoder.head.weight"]!.shape),
      "decoder.head.bias": tf.tensor1d([0.2, 0.8]),
    };
    const { loss, terms } = onResnet.loss(known, { view: normalised(flat) }, carried);
    expectClose(terms["pixels"]!, [0], 1e-10);
    expect(loss.dataSync()[0]).toBeGreaterThan(0);
  }, 60_000);

  it("refuses an image that a U-Net cannot halve five times", () => {
    expect(() => resnetRun(48)).toThrow(/48 is not a multiple of 32/);
    const making = () => createMethod({ ...resnetRun(64), model: { architecture: "resnet18", imageSize: 48 } });
    expect(making).toThrow(ConsiliumError);
    expect(making).toThrow(/48 cannot be halved 5 times/);
    expect(making).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });
});
