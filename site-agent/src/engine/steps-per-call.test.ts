import { expect, it } from "vitest";
import type { HostTensors } from "../model/tensors.js";
import { tf } from "../model/tf.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import { stepsPerCall } from "./steps-per-call.js";
import { programOf } from "./testing/agreement.js";

/** State moves by the mean of the pixels unless the rate is undefined; reports a number and a row of integers. */
const program = programOf(
  {
    weight: { shape: [2], dtype: "float32" },
    pixels: { shape: [2, 3], dtype: "uint8" },
    places: { shape: [2], dtype: "int32" },
    rate: { shape: [], dtype: "float32" },
  },
  ({ weight, pixels, places, rate }) => {
    const step = tf.mul(tf.mean(pixels!), rate!);
    const finite = tf.isFinite(step);
    return {
      weight: tf.add(weight!, tf.where(finite, step, tf.zerosLike(step))),
      loss: tf.add(tf.sum(weight!), step),
      seen: tf.add(places!, 1),
    };
  },
);

const weight = { shape: [2], data: Float32Array.of(1, 2) };
const batches: HostTensors[] = [0.5, Number.NaN, 2].map((rate, step) => ({
  pixels: { shape: [2, 3], data: Uint8Array.from({ length: 6 }, (_, place) => 40 * step + place) },
  places: { shape: [2], data: Int32Array.of(step, 7) },
  rate: { shape: [], data: Float32Array.of(rate) },
}));

it.each([
  ["compiled", compiledCpuEngine({ threads: 1 })],
  ["eager", eagerEngine()],
])("takes the same steps in one call as one by one (%s)", async (_name, engine) => {
  const one = await (await engine.compile(program)).hold({ weight });
  const expected: HostTensors[] = [];
  for (const batch of batches) expected.push(await one.advance(batch, () => true));

  const calls = stepsPerCall(program, 3);
  const many = await (await engine.compile(calls.program)).hold({ weight });
  const outputs = calls.split(await many.advance(calls.join(batches), () => true));

  expect(outputs).toEqual(expected);
  expect(outputs[1]!["loss"]!.data[0]).toBeNaN();
  expect(await many.read()).toEqual(await one.read());
});

it("refuses another number of steps", () => {
  expect(() => stepsPerCall(program, 3).join(batches.slice(1))).toThrow("one call takes 3 steps, not 2");
});
