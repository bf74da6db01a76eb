import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/builder.js";
import { elementwise, reduce, reshape } from "../graph/emit.js";
import type { Graph, Value } from "../graph/graph.js";
import { liveBytes, planBuffers } from "./buffers.js";
import { runningOrder } from "./running-order.js";

const size = 1024;
const bytes = 4 * size;

interface Drawing {
  readonly builder: GraphBuilder;
  readonly x: Value;
  readonly apply: (op: string, ...inputs: Value[]) => Value;
}

/** A graph of one input [1024] that hands over the sum of a value, so that nothing large is an output. */
function graphOf(draw: (drawing: Drawing) => Value): Graph {
  const builder = new GraphBuilder();
  const x = builder.input([size], "float32");
  const last = draw({ builder, x, apply: (op, ...inputs) => elementwise(builder, op, inputs) });
  const sum = reduce(builder, last, { op: "ReduceSum", axes: [0], keepAxes: false });
  return { name: "test", inputs: [{ name: "x", value: x }], outputs: [{ name: "sum", value: sum }] };
}

const large = (graph: Graph) => planBuffers(graph).buffers.filter((buffer) => buffer.bytes === bytes);
const operators = (graph: Graph) => runningOrder(graph).flatMap(({ op }) => (op === "Constant" ? [] : [op]));

describe("runningOrder", () => {
  it("finishes the newest operand before the others begin", () => {
    const graph = graphOf(({ x, apply }) => {
      const [first, second] = [apply("Exp", x), apply("Tanh", x)];
      return apply("Add", apply("Sqrt", first), apply("Neg", second));
    });
    expect(operators(graph)).toEqual(["Input", "Tanh", "Neg", "Exp", "Sqrt", "Add", "ReduceSum"]);
  });

  it("leaves nothing out and runs operands first", () => {
    const graph = graphOf(({ x, apply }) => apply("Mul", apply("Add", x, apply("Exp", x)), apply("Exp", x)));
    const order = runningOrder(graph);
    for (const [at, { inputs }] of order.entries()) {
      for (const { operation } of inputs) expect(order.indexOf(operation)).toBeLessThan(at);
    }
    expect(new Set(order).size).toBe(order.length);
  });
});

describe("planBuffers", () => {
  it("does not let arithmetic write over its operands, but takes over what died before", () => {
    expect(large(graphOf(({ x, apply }) => apply("Exp", x)))).toHaveLength(1);
    expect(large(graphOf(({ x, apply }) => apply("Neg", apply("Exp", x))))).toHaveLength(2);
    expect(large(graphOf(({ x, apply }) => apply("Sqrt", apply("Neg", apply("Exp", x)))))).toHaveLength(2);
  });

  it("lets activations write over an operand that dies, and no other", () => {
    expect(large(graphOf(({ x, apply }) => apply("Relu", apply("Exp", x))))).toHaveLength(1);
    const readTwice = graphOf(({ x, apply }) => {
      const exp = apply("Exp", x);
      return apply("Add", exp, apply("Relu", exp));
    });
    expect(large(readTwice)).toHaveLength(3);
  });

  it("counts a reshape as the same memory", () => {
    const graph = graphOf(({ builder, x, apply }) => {
      const wide = reshape(builder, apply("Exp", x), [2, size / 2]);
      return reshape(builder, wide, [size]);
    });
    expect(large(graph)).toHaveLength(1);
  });

  it("counts neither inputs nor outputs nor constants", () => {
    const builder = new GraphBuilder();
    const x = builder.input([size], "float32");
    const y = elementwise(builder, "Add", [x, builder.constant(new Float32Array(size), [size], "float32")]);
    const plan = planBuffers({ name: "t", inputs: [{ name: "x", value: x }], outputs: [{ name: "y", value: y }] });
    expect(plan.buffers).toEqual([]);
    expect(plan.order.map(({ op }) => op)).toEqual(["Add"]);
  });

  it("holds a buffer from its first value to the last that takes it over", () => {
    const graph = graphOf(({ x, apply }) => apply("Sqrt", apply("Neg", apply("Exp", x))));
    const [first, second] = large(graph);
    expect(first).toMatchObject({ from: 0, until: 3 });
    expect(second).toMatchObject({ from: 1, until: 2 });
    expect(liveBytes(planBuffers(graph))).toEqual([bytes, 2 * bytes, 2 * bytes, bytes]);
  });

  it("counts a loop's own memory while it runs", () => {
    const inner = new GraphBuilder();
    const [index, carried] = [inner.input([], "int32"), inner.input([size], "float32")];
    const next = elementwise(inner, "Add", [carried, elementwise(inner, "Exp", [carried])]);
    const body: Graph = {
      name: "body",
      inputs: [index, carried].map((value, at) => ({ name: `in${at}`, value })),
      outputs: [{ name: "next", value: next }],
    };
    const builder = new GraphBuilder();
    const x = builder.input([size], "float32");
    const start = elementwise(builder, "Neg", [x]);
    const outputs = [{ shape: [size], type: "float32" as const }];
    const looped = builder.operation({ op: "Repeat", inputs: [start], outputs, attributes: { count: { int: 3 } } });
    const repeat = { ...looped, body, outputs: [] as Value[] };
    repeat.outputs.push({ operation: repeat, index: 0, shape: [size], type: "float32" });
    const sum = reduce(builder, repeat.outputs[0]!, { op: "ReduceSum", axes: [0], keepAxes: false });
    const plan = planBuffers({
      name: "t",
      inputs: [{ name: "x", value: x }],
      outputs: [{ name: "sum", value: sum }],
    });
    // A round makes an exponential and the next sum, while the last sum is held in place of the output.
    expect(plan.inside).toEqual([0, 2 * bytes, 0]);
    expect(Math.max(...liveBytes(plan))).toBe(4 * bytes);
  });
});
