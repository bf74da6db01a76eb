import { randomFor } from "@consilium/shared/random.js";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { TensorSpecs } from "../../../model/tensors.js";
import { type Tensor, tf } from "../../../model/tf.js";
import { disagreement, drawInputs, programOf, runBoth } from "../../testing/agreement.js";

/** A full shape, and which axes either operand has with extent one or, from the left, not at all. */
const shapes = fc.record({
  full: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  flatA: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  flatB: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  missing: fc.integer({ min: 0, max: 3 }),
});
/** TensorFlow.js's gradients of maximum, minimum and squaredDifference do not sum over broadcast axes, so not those. */
const binary: Readonly<Record<string, (a: Tensor, b: Tensor) => Tensor>> = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: (a, b) => tf.div(a, tf.add(tf.square(b), 1)),
};

it("agrees on element-wise operators and their gradients whatever the operands' shapes", async () => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.constantFrom(...Object.keys(binary)), fc.integer(), async (drawn, name, seed) => {
      const operator = binary[name]!;
      const flatten = (flat: readonly boolean[]) => drawn.full.map((extent, axis) => (flat[axis] ? 1 : extent));
      const specs: TensorSpecs = {
        a: { shape: flatten(drawn.flatA), dtype: "float32" },
        b: { shape: flatten(drawn.flatB).slice(drawn.missing), dtype: "float32" },
      };
      const program = programOf(specs, ({ a, b }) => {
        const [da, db] = tf.grads((x: Tensor, y: Tensor) => tf.mean(tf.square(operator(x, y))))([a!, b!]);
        return { value: operator(a!, b!), da: da!, db: db! };
      });
      expect(disagreement(await runBoth(program, drawInputs(specs, randomFor(seed))))).toBeLessThan(1e-5);
    }),
    { numRuns: 60, seed: 1 },
  );
});
