import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { patchify } from "../model/patches.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, type Tensor3D, tf } from "../model/tf.js";
import { finalNorm } from "../model/vit.js";
import { averagedBlocks, averagedTokens, reconstructedPatches, restorationLoss } from "./reconstruction.js";

const model = { architecture: "vit-nano", imageSize: 4, patchSize: 2 } as const;
const width = 6;
const parameters: NamedTensors = {
  ...Object.fromEntries(
    ["fc1", "fc2", "fc3"].flatMap((name, index): [string, Tensor][] => [
      [`reconstruction.${name}.weight`, wave([width, width], 3 + index)],
      [`reconstruction.${name}.bias`, wave([width], 6 + index, 0.1)],
    ]),
  ),
  "reconstruction.deconv.weight": wave([width, 3, 2, 2], 9),
  "reconstruction.deconv.bias": wave([3], 10),
};
const tokens = wave([2, 5, width], 1) as Tensor3D;
const clean = wave([2, 4, 4, 3], 2);
const mask = tf.cast(tf.greater(wave([2, 4, 4, 1], 5), 0.3), "float32");

describe("reconstructedPatches", () => {
  const prediction = reconstructedPatches(tokens, parameters, model);

  it("has the values of a transposed convolution (PyTorch 2.13, float64)", () => {
    expect(prediction.shape).toEqual([2, 4, 12]);
    const patch = [
      ...[0.737831631505115, -3.010771140383292, 1.6697246257686287, -1.1912187181694152, -1.2707825743418693],
      ...[0.31986277657866347, -2.8158819203985734, 0.6169544969516586, -1.6128101049545522, -3.3720534851111834],
      ...[1.7646078321625596, -3.219327763799164],
    ];
    expectClose(tf.slice(prediction, [1, 2, 0], [1, 1, 12]), patch);
    expectClose(tf.sum(tf.mul(tf.reshape(prediction, [96]), wave([96], 4))), [1.1760121304442883]);
  });

  it("orders patches and pixels as patchify does", () => {
    const row = tf.reshape(prediction, [2, 2, 2, 2, 2, 3]);
    const image = tf.reshape(tf.transpose(row, [0, 1, 3, 2, 4, 5]), [2, 4, 4, 3]);
    // The second row of the second image, from the transposed convolution.
    const expected = [
      ...[-5.939005406589156, 3.0891351776742035, -3.14837435385643, -6.665563794053589, 5.1819581774892685],
      ...[-6.365625137373921, -3.3649083713267167, 0.961895081758639, -1.7138051044433065, -4.123447076446417],
      ...[2.4592389068474763, -3.776928006645546],
    ];
    expectClose(tf.slice(image, [1, 1, 0, 0], [1, 1, 4, 3]), expected);
    expectClose(patchify(image, 2), prediction.dataSync(), 0);
  });

  it("reads patches alone, past the class token and registers", () => {
    const [images, , values] = tokens.shape;
    const registers = wave([images, 3, values], 8) as Tensor3D;
    const [front, patches] = tf.split(tokens, [1, 4], 1) as [Tensor3D, Tensor3D];
    const longer = tf.concat([tf.neg(front), registers, patches], 1);
    expectClose(reconstructedPatches(longer, parameters, { ...model, registers: 3 }), prediction.dataSync(), 0);
  });
});

describe("restorationLoss", () => {
  const prediction = reconstructedPatches(tokens, parameters, model);
  const lossOf = (x: Tensor, where = mask, target = clean) =>
    restorationLoss({ prediction: x, clean: target, mask: where }, 2);

  it("is the mean absolute difference over corrupted pixels (PyTorch 2.13, float64)", () => {
    expectClose(lossOf(prediction), [3.7060129959390054]);
    // Two pixels of all, off by one in every channel: the mean does not know how many are clean.
    const two = tf.scatterND([[0], [17]], [1, 1], [32]).reshape([2, 4, 4, 1]);
    expectClose(lossOf(patchify(tf.add(clean, 1), 2), two), [1]);
  });

  it("is zero for a perfect prediction, and where nothing is corrupted", () => {
    expectClose(lossOf(patchify(clean, 2)), [0], 0);
    const nothing = tf.zerosLike(mask);
    expectClose(lossOf(prediction, nothing), [0], 0);
    expectClose(tf.grad((x) => lossOf(x, nothing))(prediction), new Float32Array(prediction.size), 0);
  });

  it("ignores pixels that are not corrupted", () => {
    const elsewhere = tf.mul(wave([2, 4, 4, 3], 12, 100), tf.sub(1, mask));
    expectClose(lossOf(tf.add(prediction, patchify(elsewhere, 2))), lossOf(prediction).dataSync(), 1e-6);
    expectClose(lossOf(prediction, mask, tf.add(clean, elsewhere)), lossOf(prediction).dataSync(), 1e-6);
    const there = tf.mul(wave([2, 4, 4, 3], 12, 100), mask);
    expect(lossOf(tf.add(prediction, patchify(there, 2))).dataSync()[0]).toBeGreaterThan(10);
  });

  it("has the gradients of finite differences through the head", () => {
    const names = Object.keys(parameters);
    expectGradients(
      ({ tokens: x, ...rest }) => lossOf(reconstructedPatches(x as Tensor3D, rest, model)),
      { tokens, ...Object.fromEntries(names.map((name) => [name, parameters[name]!])) },
      { step: 2e-3, tolerance: 1e-2 },
    );
  });
});

describe("averagedBlocks", () => {
  it.each([
    ["vit-nano", [2, 4]],
    ["vit-tiny", [6, 8, 10, 12]],
    ["vit-small", [6, 8, 10, 12]],
    ["vit-large", [12, 14, 16, 18, 20, 22, 24]],
  ] as const)("of %s are every second one of the upper half", (architecture, expected) => {
    expect(averagedBlocks({ ...model, architecture })).toEqual(expected);
  });

  it("count from one: the mean of their outputs goes through the final norm", () => {
    const outputs = [0, 1, 2, 3].map((shift) => wave([2, 5, width], shift) as Tensor3D);
    const norm = { "norm.weight": wave([width], 1), "norm.bias": wave([width], 2) };
    const mean = tf.div(tf.add(outputs[1]!, outputs[3]!), 2);
    expectClose(averagedTokens(outputs, [2, 4], norm), finalNorm(mean, norm).dataSync(), 1e-6);
    expectClose(averagedTokens(outputs, [4], norm), finalNorm(outputs[3]!, norm).dataSync(), 0);
  });
});
