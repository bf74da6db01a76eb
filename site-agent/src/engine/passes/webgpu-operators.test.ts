import { describe, expect, it } from "vitest";
import type { HostTensor } from "../../model/tensors.js";
import { outputsOf } from "../compiled-model.js";
import { CompiledSession } from "../compiled-session.js";
import { createCpuSession } from "../cpu-session.js";
import { GraphBuilder } from "../graph/builder.js";
import { cast, elementwise, predicate, slice, transpose } from "../graph/emit.js";
import type { ElementType, Graph, Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { serializeModel } from "../onnx/serialize-model.js";
import { programOf } from "../testing/agreement.js";
import { rewrite } from "./rewrite.js";
import { lowerForWebgpu } from "./webgpu-operators.js";

const { NaN: none, POSITIVE_INFINITY: infinity } = Number;
const odd = [none, infinity, -infinity, 3.4e38, -3.4e38, 0, -0, 1.5];

type Emit = (builder: GraphBuilder, inputs: readonly Value[]) => Value;

interface Case {
  readonly type: ElementType;
  readonly operands: readonly (readonly number[])[];
  readonly shape?: readonly number[];
  readonly emit: Emit;
}

function graphOf({ type, operands, shape, emit }: Case): Graph {
  const builder = new GraphBuilder();
  const inputs = operands.map((numbers, index) => {
    // Programs take numbers; booleans are made inside.
    return { name: `x${index}`, value: builder.input(shape ?? [numbers.length], type === "bool" ? "float32" : type) };
  });
  const values = inputs.map(({ value }) => (type === "bool" ? cast(builder, value, "bool") : value));
  const result = emit(builder, values);
  const y = result.type === "bool" ? cast(builder, result, "int32") : result;
  return { name: "test", inputs, outputs: [{ name: "y", value: y }] };
}

async function run(graph: Graph, { type, operands, shape }: Case): Promise<number[]> {
  const bytes = serializeModel(graph, { producer: "test" });
  const session = await createCpuSession(bytes, { name: "test", threads: 1, level: "disabled" });
  const inputs = operands.map((numbers, index): [string, HostTensor] => {
    const data = type === "int32" ? Int32Array.from(numbers) : Float32Array.from(numbers);
    return [`x${index}`, { shape: shape ?? [numbers.length], data }];
  });
  const specs = inputs.map(([name, { shape: extents }]) => {
    return [name, { shape: extents, dtype: type === "int32" ? "int32" : "float32" }] as const;
  });
  const program = programOf(Object.fromEntries(specs), () => ({}));
  const compiled = new CompiledSession(program, outputsOf(graph), session);
  const outputs = await compiled.run(Object.fromEntries(inputs));
  await compiled.release();
  // The sign of a zero may change.
  return [...outputs["y"]!.data].map((number) => number + 0);
}

const operators = (graph: Graph) =>
  operationsInOrder(graph)
    .filter(({ op, constant }) => op !== "Input" && op !== "Cast" && constant === undefined)
    .map(({ op }) => op);

const apply =
  (op: string): Emit =>
  (builder, inputs) =>
    elementwise(builder, op, inputs);
const test =
  (op: string): Emit =>
  (builder, inputs) =>
    predicate(builder, op, inputs);
const window = (begin: number[], end: number[], steps: number[], shape: number[]): Emit => {
  return (builder, [x]) => slice(builder, x!, { begin, end, steps, shape });
};
const cells = [1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0];
const counts = cells.map((_, place) => place + 20_000_001);

const cases: Readonly<Record<string, Case>> = {
  IsInf: { type: "float32", operands: [odd], emit: test("IsInf") },
  IsNaN: { type: "float32", operands: [odd], emit: test("IsNaN") },
  Sign: { type: "float32", operands: [odd], emit: apply("Sign") },
  "Sign of integers": { type: "int32", operands: [[-7, 0, 7]], emit: apply("Sign") },
  Round: {
    type: "float32",
    operands: [
      [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, -0.49999997, 8388609, infinity, -infinity, none, 2.7, -2.7],
    ],
    emit: apply("Round"),
  },
  Mod: {
    type: "int32",
    operands: [
      [7, -7, 7, -7, 6, -6, 0],
      [3, 3, -3, -3, 3, -3, 5],
    ],
    emit: apply("Mod"),
  },
  Or: {
    type: "bool",
    operands: [
      [0, 0, 1, 1],
      [0, 1, 0, 1],
    ],
    emit: test("Or"),
  },
  "Equal of booleans": {
    type: "bool",
    operands: [
      [0, 0, 1, 1],
      [0, 1, 0, 1],
    ],
    emit: test("Equal"),
  },
  "Transpose of booleans": {
    type: "bool",
    operands: [cells],
    shape: [3, 4],
    emit: (builder, [x]) => transpose(builder, x!, [1, 0]),
  },
  "Slice of booleans": { type: "bool", operands: [cells], shape: [3, 4], emit: window([1, 0], [3, 4], [1, 2], [2, 2]) },
  "Slice of integers": {
    type: "int32",
    operands: [counts],
    shape: [3, 4],
    emit: window([0, 1], [2, 3], [1, 1], [2, 2]),
  },
  "Slice of integers backwards": {
    type: "int32",
    operands: [counts],
    shape: [3, 4],
    emit: window([-1, 2], [-5, -9], [-1, -2], [3, 2]),
  },
};

/** The others stay for types that the provider has them for. */
const replaced = new Set(["IsInf", "IsNaN", "Mod", "Or", "Round", "Sign"]);

describe("lowerForWebgpu", () => {
  it.each(Object.entries(cases))("%s: computes the same without it", async (name, wanted) => {
    const graph = graphOf(wanted);
    const lowered = rewrite(graph, lowerForWebgpu);
    const missing = name.split(" ")[0]!;
    expect(operators(graph)).toContain(missing);
    if (replaced.has(missing)) expect(operators(lowered)).not.toContain(missing);
    expect(await run(lowered, wanted)).toEqual(await run(graph, wanted));
  });

  it("leaves no slice of integers and no boolean that moves", () => {
    for (const wanted of Object.values(cases)) {
      const moving = operationsInOrder(rewrite(graphOf(wanted), lowerForWebgpu)).filter(({ op, outputs, inputs }) => {
        const [first] = inputs;
        return (
          (op === "Slice" && outputs[0]!.type === "int32") ||
          (/Slice|Transpose|Equal/.test(op) && first?.type === "bool")
        );
      });
      expect(moving).toEqual([]);
    }
  });

  it("asks once whether a number is finite", async () => {
    const finite: Case = {
      type: "float32",
      operands: [odd],
      emit: (builder, [x]) => {
        const wrong = predicate(builder, "Or", [predicate(builder, "IsInf", [x!]), predicate(builder, "IsNaN", [x!])]);
        return predicate(builder, "Not", [wrong]);
      },
    };
    const lowered = rewrite(graphOf(finite), lowerForWebgpu);
    expect(operators(lowered)).toEqual(["Abs", "LessOrEqual"]);
    expect(await run(lowered, finite)).toEqual([0, 0, 0, 1, 1, 1, 1, 1]);
  });
});
