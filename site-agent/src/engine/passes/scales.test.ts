import { describe, expect, it } from "vitest";
import { tf } from "../../model/tf.js";
import { compileModel } from "../compiled-model.js";
import { elementwise, product, reduce, reshape, transpose } from "../graph/emit.js";
import { floatAttribute, type Value } from "../graph/graph.js";
import { disagreement, drawInputs, programOf, runBoth } from "../testing/agreement.js";
import { after, graphOf, operators, type Parts } from "../testing/graphs.js";
import { foldBias, lowerProducts } from "./products.js";
import { rewrite } from "./rewrite.js";
import { absorbScales, accumulateInside, foldResultScale, scaleBeforeBias, sinkScales } from "./scales.js";

const plain = { transposeA: false, transposeB: false };

function scaled({ builder }: Parts, x: Value, factor: number): Value {
  return elementwise(builder, "Mul", [x, builder.uniform(factor, [], "float32")]);
}

describe("sinkScales", () => {
  it("multiplies after what only rearranges or sums", () => {
    const sunk = after(sinkScales, (parts) =>
      transpose(parts.builder, reshape(parts.builder, scaled(parts, parts.input(2, 6), 3), [2, 2, 3]), [1, 0, 2]),
    );
    expect(sunk.operators).toEqual(["Reshape", "Transpose", "Mul"]);
    const summed = after(sinkScales, (parts) =>
      reduce(parts.builder, scaled(parts, parts.input(2, 6), 3), { op: "ReduceSum", axes: [0], keepAxes: false }),
    );
    expect(summed.operators).toEqual(["ReduceSum", "Mul"]);
    expect(summed.output.shape).toEqual([6]);
  });

  it("leaves a maximum alone, which a negative factor would turn into a minimum", () => {
    const kept = after(sinkScales, (parts) =>
      reduce(parts.builder, scaled(parts, parts.input(2, 6), -1), { op: "ReduceMax", axes: [0], keepAxes: false }),
    );
    expect(kept.operators).toEqual(["Mul", "ReduceMax"]);
  });
});

describe("absorbScales", () => {
  const both = (parts: Parts, shape: number[]) =>
    product(parts.builder, [scaled(parts, parts.input(...shape), 2), scaled(parts, parts.input(...shape), 3)], plain);

  it("takes both factors into the product", () => {
    const absorbed = after(absorbScales("fused"), (parts) => both(parts, [2, 4, 4]));
    expect(absorbed.operators).toEqual(["Product"]);
    expect(floatAttribute(absorbed.output.operation, "alpha", 1)).toBe(6);
  });

  it("leaves factors where they are when the device's product of that rank has none", () => {
    expect(after(absorbScales("plain"), (parts) => both(parts, [2, 4, 4])).operators).toEqual([
      "Mul",
      "Mul",
      "Product",
    ]);
    expect(after(absorbScales("plain"), (parts) => both(parts, [4, 4])).operators).toEqual(["Product"]);
  });
});

describe("foldResultScale", () => {
  it("scales product and bias alike, also behind a reshape", () => {
    const graph = graphOf((parts) => {
      const { builder, input } = parts;
      const rows = product(builder, [input(6, 4), input(4, 5)], plain);
      return scaled(parts, elementwise(builder, "Add", [reshape(builder, rows, [2, 3, 5]), input(5)]), 0.5);
    });
    const folded = [lowerProducts("fused"), foldBias, foldResultScale].reduce(rewrite, graph);
    expect(operators(folded)).toEqual(["Gemm", "Reshape"]);
    const gemm = folded.outputs[0]!.value.operation.inputs[0]!.operation;
    expect([floatAttribute(gemm, "alpha", 1), floatAttribute(gemm, "beta", 1)]).toEqual([0.5, 0.5]);
  });

  it("keeps a result that somebody else reads", () => {
    const graph = graphOf((parts) => {
      const rows = product(parts.builder, [parts.input(6, 4), parts.input(4, 5)], plain);
      return [scaled(parts, rows, 0.5), rows];
    });
    expect(operators([lowerProducts("fused"), foldResultScale].reduce(rewrite, graph))).toEqual(["Gemm", "Mul"]);
  });
});

describe("scaleBeforeBias", () => {
  it("scales product and bias instead of their sum, also behind a reshape", () => {
    const graph = graphOf((parts) => {
      const { builder, input } = parts;
      const rows = product(builder, [input(6, 4), input(4, 5)], plain);
      return scaled(parts, reshape(builder, elementwise(builder, "Add", [rows, input(5)]), [2, 3, 5]), 0.5);
    });
    const spread = [scaleBeforeBias, lowerProducts("fused"), foldResultScale].reduce(rewrite, graph);
    expect(operators(spread)).toEqual(["Gemm", "Mul", "Add", "Reshape"]);
    expect(spread.outputs[0]!.value.shape).toEqual([2, 3, 5]);
  });

  it("leaves a sum alone that no product made", () => {
    const kept = after(scaleBeforeBias, (parts) =>
      scaled(parts, elementwise(parts.builder, "Add", [parts.input(6, 5), parts.input(5)]), 0.5),
    );
    expect(kept.operators).toEqual(["Add", "Mul"]);
  });
});

describe("accumulateInside", () => {
  it("adds a running sum inside the product", () => {
    const graph = graphOf(({ builder, input }) => {
      const term = product(builder, [input(6, 4), input(4, 5)], plain);
      return elementwise(builder, "Add", [input(6, 5), term]);
    });
    const folded = [lowerProducts("fused"), accumulateInside].reduce(rewrite, graph);
    expect(operators(folded)).toEqual(["Gemm"]);
    expect(folded.outputs[0]!.value.operation.inputs).toHaveLength(3);
  });

  it("does not take a sum that has another shape", () => {
    const graph = graphOf(({ builder, input }) => {
      const term = product(builder, [input(6, 4), input(4, 5)], plain);
      return elementwise(builder, "Add", [input(6, 1), term]);
    });
    expect(operators([lowerProducts("fused"), accumulateInside].reduce(rewrite, graph))).toEqual(["Gemm", "Add"]);
  });
});

it("scales computed inside products are the same numbers", async () => {
  const inputs = {
    x: { shape: [2, 3, 4], dtype: "float32" },
    weight: { shape: [5, 4], dtype: "float32" },
    bias: { shape: [5], dtype: "float32" },
  } as const;
  const program = programOf(inputs, ({ x, weight, bias }) => {
    const rows = tf.matMul(tf.reshape(tf.mul(x!, 3), [6, 4]), tf.mul(weight!, -2) as never, false, true);
    const linear = tf.mul(tf.reshape(tf.add(rows, bias!), [2, 3, 5]), 0.25);
    const batched = tf.matMul(tf.mul(linear, 0.5), tf.mul(linear, 7), true, false);
    return { linear, batched, added: tf.add(tf.mul(x!, 2), tf.reshape(tf.matMul(rows, weight as never), [2, 3, 4])) };
  });
  expect(disagreement(await runBoth(program, drawInputs(inputs)))).toBeLessThan(1e-6);
  expect(compileModel(program, { products: "plain" }).bytes.length).toBeGreaterThan(0);
});
