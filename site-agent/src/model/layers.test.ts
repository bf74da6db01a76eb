import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { block, linear } from "./layers.js";
import type { NamedTensors } from "./tensors.js";
import { type Tensor, tf } from "./tf.js";

const width = 8;
const weight = (rows: number, columns: number, shift: number) => wave([rows, columns], shift, 0.3);
const bias = (size: number, shift: number) => wave([size], shift, 0.1);

const parameters: NamedTensors = {
  "b.norm1.weight": tf.add(bias(width, 1), 1),
  "b.norm1.bias": bias(width, 2),
  "b.attn.qkv.weight": weight(3 * width, width, 3),
  "b.attn.qkv.bias": bias(3 * width, 4),
  "b.attn.proj.weight": weight(width, width, 5),
  "b.attn.proj.bias": bias(width, 6),
  "b.norm2.weight": tf.add(bias(width, 7), 1),
  "b.norm2.bias": bias(width, 8),
  "b.mlp.fc1.weight": weight(4 * width, width, 9),
  "b.mlp.fc1.bias": bias(4 * width, 10),
  "b.mlp.fc2.weight": weight(width, 4 * width, 11),
  "b.mlp.fc2.bias": bias(width, 12),
};

describe("block", () => {
  it("has the published values", () => {
    const out = block(wave([1, 5, width], 0), { parameters, name: "b" }, { heads: 2 });
    expectClose(
      tf.slice(out, [0, 0, 0], [1, 1, width]),
      [
        3.7238807079001663, -2.312963264076481, 6.624090500682948, 0.5714182657280498, 2.2955637741840866,
        0.18680287244659805, -4.930175696516091, 0.35938447200156265,
      ],
    );
    expectClose(tf.sum(out), [17.6661495730039]);
  });

  it("treats images of a batch alike and apart", () => {
    const one = block(wave([1, 5, width], 0), { parameters, name: "b" }, { heads: 2 });
    const other = wave([1, 5, width], 2);
    const both = tf.concat([other, wave([1, 5, width], 0)], 0);
    const out = block(both, { parameters, name: "b" }, { heads: 2 });
    expectClose(tf.slice(out, [1, 0, 0], [1, 5, width]), one.dataSync(), 1e-6);
  });

  it("has the gradients of finite differences for every tensor", () => {
    const target = wave([2, 3, width], 9);
    expectGradients(
      ({ x, ...rest }) => tf.sum(tf.mul(block(x!, { parameters: rest, name: "b" }, { heads: 2 }), target)),
      { ...parameters, x: wave([2, 3, width], 0) } as Record<string, Tensor>,
      { step: 3e-3 },
    );
  });
});

describe("linear", () => {
  it("names a tensor that the layout lacks", () => {
    expect(() => linear(wave([1, 2], 0), { parameters: {}, name: "head.fc1" })).toThrow("head.fc1.weight");
  });
});
