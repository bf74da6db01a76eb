import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { type Tensor1D, tf } from "../model/tf.js";
import { batchRows, drawMasks, maskInputs, maskShape, permuteRows } from "./masking.js";

describe("maskShape", () => {
  it.each([
    [196, 0.75, 49],
    [49, 0.75, 12],
    [10, 0.9, 1],
  ])("of %i patches at ratio %f shows %i", (patches, ratio, visible) => {
    expect(maskShape(patches, ratio)).toEqual({ patches, visible });
  });

  it("refuses to hide everything", () => {
    expect(() => maskShape(4, 0.9)).toThrow(/leaves 0 of 4/);
  });
});

describe("drawMasks", () => {
  const shape = { patches: 9, visible: 3 };
  const drawn = drawMasks(5, shape, randomFor("masks", 1));
  const rows = (name: string) => Array.from(drawn[name]?.data ?? []);

  it("fits the inputs that it announces", () => {
    for (const [name, spec] of Object.entries(maskInputs(5, shape))) expect(drawn[name]?.shape).toEqual(spec.shape);
    expect(Object.keys(drawn).sort()).toEqual(Object.keys(maskInputs(5, shape)).sort());
  });

  it("restores what it shuffles", () => {
    const shuffle = rows("shuffle");
    const restored = rows("restore").map((place, index) => shuffle[9 * Math.floor(index / 9) + place]);
    expect(restored).toEqual(Array.from({ length: 45 }, (_, index) => index % 9));
  });

  it("hides what is not visible, per image", () => {
    const mask = rows("mask");
    expect(mask.reduce((sum, value) => sum + value, 0)).toBe(5 * 6);
    rows("visible").forEach((place, index) => {
      const image = Math.floor(index / 3);
      expect(mask[9 * image + place]).toBe(0);
      expect(rows("shuffle")[9 * image + (index % 3)]).toBe(place);
    });
  });

  it("depends on the generator alone", () => {
    expect(drawMasks(5, shape, randomFor("masks", 1))).toEqual(drawn);
    expect(drawMasks(5, shape, randomFor("masks", 2))).not.toEqual(drawn);
  });
});

describe("batchRows", () => {
  it("counts on from image to image", () => {
    expect([...batchRows(tf.tensor1d([2, 0, 1, 8], "int32"), 2, 9).dataSync()]).toEqual([2, 0, 10, 17]);
  });
});

describe("permuteRows", () => {
  const order = tf.tensor1d([2, 0, 3, 1], "int32") as Tensor1D;
  const inverse = tf.tensor1d([1, 3, 0, 2], "int32") as Tensor1D;

  it("orders rows", () => {
    expectClose(permuteRows(tf.tensor2d([[0], [1], [2], [3]]), order, inverse), [2, 0, 3, 1]);
  });

  it("has the gradient of finite differences", () => {
    const target = wave([4, 3], 2);
    expectGradients(({ x }) => tf.sum(tf.mul(permuteRows(x!, order, inverse), target)), { x: wave([4, 3], 1) });
  });
});
