import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/builder.js";
import { product } from "../graph/emit.js";
import { flopsOf, graphFlops } from "./flops.js";

describe("flopsOf", () => {
  it.each([
    ["Gemm", [[2, 3], [3, 5], [5]], [2, 5], 2 * 2 * 3 * 5],
    // The first operand is read transposed.
    [
      "Gemm",
      [
        [3, 2],
        [3, 5],
      ],
      [2, 5],
      2 * 2 * 3 * 5,
    ],
    [
      "FusedMatMul",
      [
        [7, 4, 2, 3],
        [7, 4, 5, 3],
      ],
      [7, 4, 2, 5],
      7 * 4 * 2 * 2 * 3 * 5,
    ],
    [
      "MatMul",
      [
        [4, 2, 3],
        [3, 5],
      ],
      [4, 2, 5],
      4 * 2 * 2 * 3 * 5,
    ],
    [
      "Conv",
      [
        [1, 3, 8, 8],
        [6, 3, 2, 2],
      ],
      [1, 6, 4, 4],
      2 * 6 * 16 * 12,
    ],
    [
      "Add",
      [
        [2, 3],
        [2, 3],
      ],
      [2, 3],
      0,
    ],
    ["Gemm", [], [2, 3], 0],
  ] as const)("%s of %j gives %j in %d", (op, inputs, output, flops) => {
    expect(flopsOf({ op, inputs, output })).toBe(flops);
  });
});

describe("graphFlops", () => {
  it("adds up every product", () => {
    const builder = new GraphBuilder();
    const [a, b] = [builder.input([2, 3], "float32"), builder.input([3, 5], "float32")];
    const first = product(builder, [a, b], { transposeA: false, transposeB: false });
    const second = product(builder, [first, first], { transposeA: false, transposeB: true });
    const outputs = [{ name: "y", value: second }];
    expect(graphFlops({ name: "t", inputs: [], outputs })).toBe(2 * (2 * 3 * 5) + 2 * (2 * 5 * 2));
  });
});
