import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { tf } from "../model/tf.js";
import { operationsInOrder } from "./graph/order.js";
import { joined, stacksOf, sumOfEach, taken } from "./tensor-stacks.js";
import { programOf, runBoth } from "./testing/agreement.js";
import { traceProgram } from "./trace/trace-program.js";

const named = (name: string, ...shape: number[]) => ({ name, shape });

describe("stacksOf()", () => {
  it("puts small tensors of one size and key together, and large ones alone", () => {
    const tensors = [named("a", 8), named("b", 2, 4), named("c", 9), named("d", 8), named("e", 200, 200)];
    const stacks = stacksOf([...tensors, named("f", 200, 200)], ({ name }) => (name === "d" ? "other" : ""));
    expect(stacks.map(({ members }) => members.map(({ name }) => name).join(""))).toEqual(["ab", "c", "d", "e", "f"]);
  });
});

describe("joined() and taken()", () => {
  it.each([1, 2, 7, 8, 50, 60])("give back %i tensors in their shapes, with a sum for each", async (count) => {
    const random = randomFor("stacks", count);
    const tensors = Array.from({ length: count }, (_, index) =>
      index % 2 === 0 ? named(`t${index}`, 6) : named(`t${index}`, 2, 3),
    );
    const [stack] = stacksOf(tensors, () => "");
    const specs = Object.fromEntries(tensors.map(({ name, shape }) => [name, { shape, dtype: "float32" as const }]));
    const program = programOf(specs, (inputs) => {
      const together = joined(
        stack!,
        tensors.map(({ name }) => inputs[name]!),
      );
      const parts = taken(stack!, tf.mul(together, 2));
      return {
        ...Object.fromEntries(tensors.map(({ name }, index) => [name, parts[index]!])),
        sums: tf.reshape(sumOfEach(stack!, together), [-1]),
      };
    });
    const values = tensors.map(({ name, shape }) => {
      return [name, { shape, data: Float32Array.from({ length: 6 }, () => random.integer(100)) }] as const;
    });
    for (const outputs of Object.values(await runBoth(program, Object.fromEntries(values)))) {
      for (const [name, { shape, data }] of values) {
        expect(outputs[name]).toEqual({ shape, data: data.map((number) => 2 * number) });
      }
      expect([...outputs["sums"]!.data]).toEqual(values.map(([, { data }]) => data.reduce((a, b) => a + b)));
    }
    const widest = operationsInOrder(traceProgram(program)).map(({ outputs }) => outputs.length);
    expect(Math.max(...widest)).toBeLessThan(8);
  });
});
