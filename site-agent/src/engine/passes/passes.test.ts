import { describe, expect, it } from "vitest";
import { cast, elementwise, expand, product, reduce, reshape, transpose } from "../graph/emit.js";
import { after, graphOf, operators, type Parts } from "../testing/graphs.js";
import { mergeAliases } from "./aliases.js";
import { dropNeutral, foldUniforms, simplifyArithmetic } from "./constants.js";
import { reshapeBeforeExpansion, sinkExpansions } from "./expansions.js";
import { optimize } from "./optimize.js";
import { absorbTransposes, foldBias, lowerProducts } from "./products.js";
import { rewrite } from "./rewrite.js";
import { shareEqual } from "./share.js";

describe("rewrite", () => {
  it("drops what nothing reads but keeps every input", () => {
    const graph = graphOf(({ builder, input }) => {
      const [x] = [input(2), input(3)];
      elementwise(builder, "Exp", [x!]);
      return elementwise(builder, "Log", [x!]);
    });
    const rewritten = rewrite(graph, () => undefined);
    expect(operators(rewritten)).toEqual(["Log"]);
    expect(rewritten.inputs.map(({ name }) => name)).toEqual(["x0", "x1"]);
  });
});

describe("mergeAliases", () => {
  it("merges reshapes, transposes and expansions", () => {
    const reshaped = after(mergeAliases, ({ builder, input }) =>
      reshape(builder, reshape(builder, input(2, 3), [6]), [3, 2]),
    );
    expect(reshaped.operators).toEqual(["Reshape"]);
    const back = after(mergeAliases, ({ builder, input }) => {
      const turned = transpose(builder, input(2, 3, 4), [2, 0, 1]);
      return transpose(builder, turned, [1, 2, 0]);
    });
    expect(back.operators).toEqual([]);
    const expanded = after(mergeAliases, ({ builder, input }) =>
      expand(builder, expand(builder, input(1), [2, 1]), [2, 5]),
    );
    expect(expanded.operators).toEqual(["Expand"]);
    expect(expanded.output.shape).toEqual([2, 5]);
  });

  it("knows a transpose that only moves axes of extent one", () => {
    const moved = after(mergeAliases, ({ builder, input }) => transpose(builder, input(1, 2, 3), [1, 0, 2]));
    expect(moved.operators).toEqual(["Reshape"]);
  });
});

describe("constants", () => {
  it("computes with uniform constants", () => {
    const folded = after(foldUniforms, ({ builder }) => {
      const two = builder.uniform(2, [3, 3], "float32");
      return reshape(builder, elementwise(builder, "Mul", [two, builder.uniform(3, [], "float32")]), [9]);
    });
    expect(folded.operators).toEqual([]);
    expect(folded.output.operation.constant).toEqual(Float32Array.of(6));
    expect(folded.output.shape).toEqual([9]);
  });

  it("turns booleans into numbers, but not floats into integers", () => {
    const yes = after(foldUniforms, ({ builder }) => cast(builder, builder.uniform(1, [2], "bool"), "float32"));
    expect(yes.output.operation.constant).toEqual(Float32Array.of(1));
    const many = after(foldUniforms, ({ builder }) => cast(builder, builder.uniform(256, [2], "int32"), "bool"));
    expect(many.output.operation.constant).toEqual(Uint8Array.of(1));
    const half = after(foldUniforms, ({ builder }) => cast(builder, builder.uniform(0.5, [2], "float32"), "int32"));
    expect(half.operators).toEqual(["Cast"]);
  });

  it("drops factors of one and terms of zero, and keeps the shape", () => {
    const one = after(dropNeutral, ({ builder, input }) =>
      elementwise(builder, "Mul", [builder.uniform(1, [4, 3], "float32"), input(3)]),
    );
    expect(one.operators).toEqual(["Expand"]);
    expect(one.output.shape).toEqual([4, 3]);
    const zero = after(dropNeutral, ({ builder, input }) =>
      elementwise(builder, "Add", [input(3), builder.uniform(0, [], "float32")]),
    );
    expect(zero.operators).toEqual([]);
    const negated = after(dropNeutral, ({ builder, input }) =>
      elementwise(builder, "Sub", [builder.uniform(0, [], "float32"), input(3)]),
    );
    expect(negated.operators).toEqual(["Neg"]);
  });

  it("keeps factors of zero, because zero times infinity is not zero", () => {
    const kept = after(dropNeutral, ({ builder, input }) =>
      elementwise(builder, "Mul", [input(3), builder.uniform(0, [], "float32")]),
    );
    expect(kept.operators).toEqual(["Mul"]);
  });

  it("merges constant factors and avoids quotients", () => {
    const scaled = after(simplifyArithmetic, ({ builder, input }) => {
      const once = elementwise(builder, "Div", [input(3), builder.uniform(4, [], "float32")]);
      return elementwise(builder, "Mul", [builder.uniform(2, [], "float32"), once]);
    });
    expect(scaled.operators).toEqual(["Mul"]);
    expect(scaled.output.operation.inputs[1]!.operation.constant).toEqual(Float32Array.of(0.5));
  });
});

describe("expansions", () => {
  it("lets element-wise operators broadcast by themselves", () => {
    const sunk = after(sinkExpansions, ({ builder, input }) => {
      const bias = expand(builder, input(3), [2, 3]);
      return elementwise(builder, "Add", [elementwise(builder, "Exp", [bias]), input(2, 3)]);
    });
    expect(sunk.operators).toEqual(["Exp", "Add"]);
  });

  it("expands a result when all its operands shrank", () => {
    const sunk = after(sinkExpansions, ({ builder, input }) =>
      elementwise(builder, "Mul", [expand(builder, input(1, 3), [2, 3]), builder.uniform(2, [2, 3], "float32")]),
    );
    expect(sunk.operators).toEqual(["Mul", "Expand"]);
    expect(sunk.output.operation.inputs[0]!.shape).toEqual([1, 3]);
  });

  it("reshapes one element before it is repeated", () => {
    const reshaped = after(reshapeBeforeExpansion, ({ builder, input }) =>
      reshape(builder, expand(builder, input(1, 1), [2, 6]), [3, 4]),
    );
    expect(reshaped.operators).toEqual(["Expand"]);
    expect(reshaped.output.operation.inputs[0]!.shape).toEqual([1, 1]);
  });
});

describe("shareEqual", () => {
  it("computes equal expressions once, and different ones apart", () => {
    const shared = shareEqual(
      graphOf(({ builder, input }) => {
        const x = input(2, 2);
        const sum = (axis: number) => reduce(builder, x, { op: "ReduceSum", axes: [axis], keepAxes: false });
        return [sum(0), sum(0), sum(1)];
      }),
    );
    expect(operators(shared)).toEqual(["ReduceSum", "ReduceSum"]);
    expect(shared.outputs[0]!.value).toBe(shared.outputs[1]!.value);
  });
});

const plain = { transposeA: false, transposeB: false };

describe("products", () => {
  it("takes transposes into products", () => {
    const absorbed = after(absorbTransposes, ({ builder, input }) =>
      product(builder, [transpose(builder, input(5, 2, 3), [0, 2, 1]), input(5, 2, 4)], plain),
    );
    expect(absorbed.operators).toEqual(["Product"]);
    expect(absorbed.output.operation.attributes).toEqual({ transA: { int: 1 }, transB: { int: 0 } });
    expect(absorbed.output.shape).toEqual([5, 3, 4]);
  });

  it.each([
    ["fused", ["Gemm", "FusedMatMul", "MatMul"]],
    ["plain", ["Gemm", "Transpose", "MatMul", "MatMul"]],
  ] as const)("lowers products in style %s", (style, expected) => {
    const graph = graphOf(({ builder, input }) => {
      const [matrix, stack] = [input(4, 4), input(2, 4, 4)];
      const turned = { transposeA: false, transposeB: true };
      return [
        product(builder, [matrix, matrix], turned),
        product(builder, [stack, stack], turned),
        product(builder, [stack, matrix], plain),
      ];
    });
    expect(operators(rewrite(graph, lowerProducts(style)))).toEqual(expected);
  });

  it("adds a bias inside the product, also behind a reshape", () => {
    const build = ({ builder, input }: Parts) => {
      const rows = product(builder, [input(6, 4), input(4, 5)], plain);
      return elementwise(builder, "Add", [reshape(builder, rows, [2, 3, 5]), input(5)]);
    };
    const lowered = rewrite(graphOf(build), lowerProducts("fused"));
    const folded = rewrite(lowered, foldBias);
    expect(operators(folded)).toEqual(["Gemm", "Reshape"]);
    expect(folded.outputs[0]!.value.operation.inputs[0]!.operation.inputs).toHaveLength(3);
  });

  it("leaves the bias outside when the product itself is read too", () => {
    const lowered = rewrite(
      graphOf(({ builder, input }) => {
        const rows = product(builder, [input(6, 4), input(4, 5)], plain);
        return [elementwise(builder, "Add", [rows, input(5)]), rows];
      }),
      lowerProducts("fused"),
    );
    expect(operators(rewrite(lowered, foldBias))).toEqual(["Gemm", "Add"]);
  });
});

it("optimize needs no element-wise operator for the gradient of a mean", () => {
  const graph = graphOf(({ builder, input }) => {
    const x = input(8, 4);
    const dy = reshape(builder, builder.uniform(1, [], "float32"), [1, 1]);
    const spread = elementwise(builder, "Mul", [dy, builder.uniform(1, x.shape, "float32")]);
    const gradient = elementwise(builder, "Div", [spread, builder.uniform(32, [], "float32")]);
    return elementwise(builder, "Mul", [gradient, x]);
  });
  expect(operators(optimize(graph, { products: "fused" }))).toEqual(["Mul"]);
});
