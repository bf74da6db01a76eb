import { sizeOf } from "@consilium/shared/params/layout.js";
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/builder.js";
import { cast, elementwise, product, reduce, reshape, transpose } from "../graph/emit.js";
import type { Graph, Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { configOf, gradientProgram, smallMethods } from "../testing/method-gradients.js";
import { traceProgram } from "../trace/trace-program.js";
import { mixedPrecision } from "./mixed-precision.js";
import { optimize } from "./optimize.js";

const plain = { transposeA: false, transposeB: false };

interface Parts {
  readonly builder: GraphBuilder;
  readonly input: (...shape: number[]) => Value;
}

function graphOf(build: (parts: Parts) => readonly Value[]): Graph {
  const builder = new GraphBuilder();
  const inputs: Value[] = [];
  const outputs = build({
    builder,
    input: (...shape) => {
      inputs.push(builder.input(shape, "float32"));
      return inputs.at(-1)!;
    },
  });
  return {
    name: "test",
    inputs: inputs.map((value, index) => ({ name: `x${index}`, value })),
    outputs: outputs.map((value, index) => ({ name: `y${index}`, value })),
  };
}

/** "operator:type of the result" of everything but inputs and constants, in running order. */
function computed(graph: Graph): string[] {
  return operationsInOrder(graph)
    .filter(({ op, constant }) => op !== "Input" && constant === undefined)
    .map(({ op, outputs }) => `${op}:${outputs[0]!.type}`);
}

function mixed(build: (parts: Parts) => readonly Value[]): string[] {
  const graph = mixedPrecision(graphOf(build));
  for (const { value } of [...graph.inputs, ...graph.outputs]) expect(value.type).toBe("float32");
  return computed(graph);
}

const between = (change: (x: Value, parts: Parts) => Value) =>
  mixed((parts) => {
    const first = product(parts.builder, [parts.input(4, 8), parts.input(8, 8)], plain);
    return [product(parts.builder, [change(first, parts), parts.input(8, 2)], plain)];
  });
const roundedProduct = ["Cast:float16", "Cast:float16", "Product:float16"];
const secondProduct = ["Cast:float16", "Product:float16", "Cast:float32"];

describe("products and what lies between them", () => {
  it("stays in float16 with biases, rounded once, and with constants", () => {
    const kept = between((x, { builder, input }) => {
      const shifted = elementwise(builder, "Add", [x, input(8)]);
      return elementwise(builder, "Mul", [shifted, builder.uniform(0.5, [], "float32")]);
    });
    expect(kept).toEqual([...roundedProduct, "Cast:float16", "Add:float16", "Mul:float16", ...secondProduct]);
  });

  it("rounds a weight once for all its readers, also behind a transpose", () => {
    const operators = mixed(({ builder, input }) => {
      const [x, weight] = [input(4, 8), input(8, 8)];
      const forward = product(builder, [x, weight], plain);
      const backward = product(builder, [forward, reshape(builder, transpose(builder, weight, [1, 0]), [8, 8])], plain);
      return [product(builder, [backward, weight], plain)];
    });
    expect(operators.filter((name) => name === "Cast:float16")).toHaveLength(2);
    expect(operators).toContain("Transpose:float16");
  });

  it("does not meet a float32 tensor of its own size in float16", () => {
    const promoted = between((x, { builder, input }) => elementwise(builder, "Add", [x, input(4, 8)]));
    expect(promoted).toEqual([...roundedProduct, "Cast:float32", "Add:float32", "Cast:float16", ...secondProduct]);
  });

  it("reduces in float32, and uses a row's mean in float16", () => {
    const centred = between((x, { builder }) =>
      elementwise(builder, "Sub", [x, reduce(builder, x, { op: "ReduceMean", axes: [1], keepAxes: true })]),
    );
    const mean = ["Cast:float32", "ReduceMean:float32", "Cast:float16", "Sub:float16"];
    expect(centred).toEqual([...roundedProduct, ...mean, ...secondProduct]);
  });

  it("squares in float32 what is summed up", () => {
    const normed = between((x, { builder }) => {
      const square = elementwise(builder, "Mul", [x, x]);
      const sum = reduce(builder, square, { op: "ReduceSum", axes: [1], keepAxes: true });
      return elementwise(builder, "Mul", [x, elementwise(builder, "Sqrt", [sum])]);
    });
    expect(normed).toContain("Mul:float32");
    expect(normed).toContain("Mul:float16");
  });

  it("computes a softmax in float32 and stores it in float16", () => {
    const attended = between((x, { builder }) =>
      builder.apply({ op: "Softmax", inputs: [x], attributes: { axis: { int: 1 } }, shape: x.shape, type: x.type }),
    );
    const softmax = ["Cast:float32", "Softmax:float32", "Cast:float16"];
    expect(attended).toEqual([...roundedProduct, ...softmax, ...secondProduct]);
  });

  it("normalises in float16 with float32 statistics", () => {
    const standard = between((x, { builder }) => {
      const rows = { shape: [4, 1], type: "float32" } as const;
      const { outputs } = builder.operation({
        op: "LayerNormalization",
        inputs: [x, builder.uniform(1, [8], "float32")],
        outputs: [{ shape: x.shape, type: "float32" }, rows, rows],
      });
      const squared = elementwise(builder, "Mul", [outputs[2]!, outputs[2]!]);
      return elementwise(builder, "Mul", [outputs[0]!, squared]);
    });
    const normalised = ["LayerNormalization:float16", "Mul:float32", "Cast:float16", "Mul:float16"];
    expect(standard).toEqual([...roundedProduct, ...normalised, ...secondProduct]);
  });

  it("turns truth into float16 without a detour", () => {
    const rectified = between((x, { builder, input }) => {
      const positive = builder.apply({
        op: "Greater",
        inputs: [input(4, 8), builder.uniform(0, [], "float32")],
        shape: x.shape,
        type: "bool",
      });
      return elementwise(builder, "Mul", [x, cast(builder, positive, "float32")]);
    });
    expect(rectified.slice(3)).toEqual(["Greater:bool", "Cast:float16", "Mul:float16", ...secondProduct]);
  });
});

describe("what float16 does not hold", () => {
  it.each([
    ["a number that is too large", (x: Value, { builder }: Parts) => builder.uniform(-1e9, x.shape, "float32")],
    ["a number that loses its digits", (_x: Value, { builder }: Parts) => builder.uniform(1e-6, [], "float32")],
    ["a logarithm", (_x: Value, { builder, input }: Parts) => elementwise(builder, "Log", [input(4, 1)])],
    ["an exponential", (_x: Value, { builder, input }: Parts) => elementwise(builder, "Exp", [input(4, 1)])],
    ["one over a tensor", (_x: Value, { builder, input }: Parts) => elementwise(builder, "Reciprocal", [input(4, 1)])],
  ])("keeps the sum with %s in float32", (_name, other) => {
    expect(between((x, parts) => elementwise(parts.builder, "Add", [x, other(x, parts)]))).toContain("Add:float32");
  });

  it("lets an exponential follow that is only divided by", () => {
    const bell = between((x, { builder }) =>
      elementwise(builder, "Div", [x, elementwise(builder, "Exp", [elementwise(builder, "Mul", [x, x])])]),
    );
    expect(bell).toContain("Div:float16");
    const quotient = between((x, { builder }) => elementwise(builder, "Div", [x, elementwise(builder, "Exp", [x])]));
    expect(quotient).toContain("Div:float32");
  });

  it("lets the exponential of a negative square follow, as in GELU's gradient", () => {
    const density = between((x, { builder }) => {
      const square = elementwise(builder, "Mul", [
        elementwise(builder, "Mul", [x, x]),
        builder.uniform(-0.5, [], "float32"),
      ]);
      return elementwise(builder, "Mul", [x, elementwise(builder, "Exp", [square])]);
    });
    expect(density).toContain("Exp:float16");
    expect(between((x, { builder }) => elementwise(builder, "Exp", [x]))).toContain("Exp:float32");
  });
});

it("keeps losses, gradients and updates behind the last product in float32", () => {
  const operators = mixed(({ builder, input }) => {
    const [x, weight] = [input(4, 8), input(8, 8)];
    const gradient = product(builder, [x, weight], plain);
    return [elementwise(builder, "Sub", [weight, elementwise(builder, "Mul", [gradient, input()])])];
  });
  expect(operators).toEqual([...roundedProduct, "Cast:float32", "Mul:float32", "Sub:float32"]);
});

it("rounds nothing to put it beside a product's result, unless another product reads both", () => {
  const joined = ({ builder, input }: Parts) => {
    const first = product(builder, [input(4, 8), input(8, 8)], plain);
    const inputs = [first, input(2, 8)];
    return builder.apply({ op: "Concat", inputs, attributes: { axis: { int: 0 } }, shape: [6, 8], type: "float32" });
  };
  expect(mixed((parts) => [joined(parts)])).toContain("Concat:float32");
  const read = mixed((parts) => [product(parts.builder, [joined(parts), parts.input(8, 2)], plain)]);
  expect(read).toContain("Concat:float16");
});

it("adds to a float32 matrix in float32, and a bias inside the product", () => {
  const gemm = (added: readonly number[]) =>
    mixed(({ builder, input }) => [
      builder.apply({
        op: "Gemm",
        inputs: [input(4, 8), input(8, 8), input(...added)],
        attributes: { beta: { float: 2 } },
        shape: [4, 8],
        type: "float32",
      }),
    ]);
  const product = ["Cast:float16", "Cast:float16", "Gemm:float16"];
  expect(gemm([4, 8])).toEqual([...product, "Mul:float32", "Cast:float32", "Add:float32"]);
  expect(gemm([8])).toEqual(["Cast:float16", ...product, "Cast:float32"]);
});

it("rounds weights outside a loop, and keeps what the loop carries in float32", () => {
  const index: Value[] = [];
  const body = graphOf(({ builder, input }) => {
    index.push(builder.input([], "int64"));
    const [sum, weight, x] = [input(4, 8), input(8, 8), input(4, 8)];
    return [elementwise(builder, "Add", [sum, product(builder, [x, weight], plain)])];
  });
  const loop: Graph = { ...body, inputs: [{ name: "index", value: index[0]! }, ...body.inputs] };
  const outer = graphOf(({ builder, input }) => {
    const inputs = [input(4, 8), input(8, 8), input(4, 8)];
    return builder.operation({
      op: "Repeat",
      inputs,
      outputs: [{ shape: [4, 8], type: "float32" }],
      attributes: { count: { int: 3 } },
      body: loop,
    }).outputs;
  });
  const graph = mixedPrecision(outer);
  expect(computed(graph)).toEqual(["Cast:float16", "Cast:float16", "Repeat:float32"]);
  const inside = operationsInOrder(graph).find(({ op }) => op === "Repeat")!.body!;
  expect(computed(inside)).toEqual(["Product:float16", "Cast:float32", "Add:float32"]);
  expect(inside.inputs.map(({ value }) => value.type)).toEqual(["int64", "float32", "float16", "float16"]);
});

/** Largest sum of the bytes that lie between operations at one time, inputs and constants left out. */
function liveBytes(graph: Graph): number {
  const order = operationsInOrder(graph).filter(({ op, constant }) => op !== "Input" && constant === undefined);
  const last = new Map<Value, number>();
  for (const [at, { inputs }] of order.entries()) for (const input of inputs) last.set(input, at);
  const bytes = ({ shape, type }: Value) => sizeOf(shape) * (type === "float16" ? 2 : 4);
  const live = new Set<Value>();
  let largest = 0;
  for (const [at, { outputs }] of order.entries()) {
    for (const output of outputs) if (last.has(output)) live.add(output);
    largest = Math.max(
      largest,
      [...live].reduce((sum, value) => sum + bytes(value), 0),
    );
    for (const value of live) if (last.get(value) === at) live.delete(value);
  }
  return largest;
}

it.each([smallMethods.simclr, smallMethods.mae])("needs a third less memory for $name's activations", (method) => {
  const traced = traceProgram(gradientProgram(configOf({ model: { imageSize: 64, patchSize: 8 }, method }), 16));
  const [full, half] = (["float32", "mixed"] as const).map((precision) =>
    liveBytes(optimize(traced, { products: "fused", precision })),
  );
  expect(half! / full!).toBeLessThan(0.67);
});
