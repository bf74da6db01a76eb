import { methodSchema } from "@consilium/shared/config/method-config.js";
import type { ResnetConfig } from "@consilium/shared/config/model-config.js";
import { headParameters } from "@consilium/shared/params/heads.js";
import { describe, expect, it } from "vitest";
import { expectClose, wave } from "../../../test/support/golden.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, type Tensor4D, tf } from "./tf.js";
import { doubled, unetDecoder } from "./unet.js";

const model: ResnetConfig = { architecture: "resnet18", imageSize: 32 };
const decoder = headParameters({ model, method: methodSchema.parse({ name: "colorme" }) });
const sizes = [
  [16, 64],
  [8, 64],
  [4, 128],
  [2, 256],
  [1, 512],
] as const;
const stages = sizes.map(([side, channels], index) => wave([2, side, side, channels], index + 1) as Tensor4D);
const waves = decoder.map(({ name, shape }, index) => {
  const values = wave(shape, index, 0.3);
  return [name, name.endsWith(".1.weight") ? tf.add(values, 1) : values] as const;
});
const parameters: NamedTensors = Object.fromEntries(waves);

describe("doubled", () => {
  it("shows every pixel four times", () => {
    const x = tf.tensor4d([1, 10, 2, 20, 3, 30, 4, 40], [1, 2, 2, 2]);
    const [first, second] = tf.unstack(tf.reshape(doubled(x), [4, 4, 2]), 2);
    expectClose(first!, [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4], 0);
    expectClose(second!, [10, 10, 20, 20, 10, 10, 20, 20, 30, 30, 40, 40, 30, 30, 40, 40], 0);
  });

  it("sums what comes back to the four", () => {
    const dy = wave([2, 4, 6, 3], 1);
    const gradient = tf.grad((x: Tensor) => tf.sum(tf.mul(doubled(x), dy)))(wave([2, 2, 3, 3], 2));
    expectClose(gradient, tf.mul(tf.avgPool(dy as Tensor4D, 2, 2, "valid"), 4).dataSync(), 1e-5);
  });
});

describe("unetDecoder", () => {
  const colours = unetDecoder(stages, parameters);

  it("has the values of an independent evaluation", () => {
    // PyTorch 2.13, float64: nearest upsampling, then [upsampled, skip] through convolution, batch norm and rectifier, twice.
    expect(colours.shape).toEqual([2, 32, 32, 2]);
    const at = (image: number, row: number, column: number) => tf.slice(colours, [image, row, column, 0], [1, 1, 1, 2]);
    expectClose(at(0, 3, 5), [-0.6803892404248311, -0.8385283299264665], 1e-3);
    expectClose(at(1, 31, 0), [4.048320106718762, 4.730572715308688], 1e-3);
    expectClose(at(1, 16, 17), [-0.11409921763247255, 0.07473266222433117], 1e-3);
    expectClose(tf.mean(tf.square(colours)), [17.96503487783308], 1e-3);
  });

  it.each(sizes.map((_, index) => index))("looks at stage %i of the encoder", (changed) => {
    const others = stages.map((stage, index) => (index === changed ? (tf.square(stage) as Tensor4D) : stage));
    const difference = tf.sub(unetDecoder(others, parameters), colours);
    expect(tf.max(tf.abs(difference)).dataSync()[0]).toBeGreaterThan(1e-2);
  });

  it("has the gradients of an independent evaluation", () => {
    const names = ["decoder.blocks.0.conv1.1.weight", "decoder.blocks.4.conv2.1.bias", "decoder.head.weight"];
    const dy = wave([2, 32, 32, 2], 1);
    const lossOf = (...given: Tensor[]) => {
      const own = Object.fromEntries(names.map((name, index) => [name, given[index]!]));
      return tf.mean(tf.mul(unetDecoder(stages, { ...parameters, ...own }), dy));
    };
    const gradients = tf.grads(lossOf)(names.map((name) => parameters[name]!));
    const lengths = [0.000648297221321626, 0.006634480879754884, 0.00724749623990477];
    for (const [index, gradient] of gradients.entries()) {
      expectClose(tf.div(tf.norm(gradient), lengths[index]!), [1], 1e-4);
    }
    const [first] = gradients;
    const firstValues = [6.30756625569575e-5, 6.669698658481902e-5, 6.473352698154712e-5];
    expectClose(
      tf.mul(tf.slice(first!, [0], [3]), 1e5),
      firstValues.map((value) => 1e5 * value),
      1e-4,
    );
  });
});
