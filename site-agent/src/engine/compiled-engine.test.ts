import { expect, it } from "vitest";
import { tf } from "../model/tf.js";
import { compiledCpuEngine } from "./compiled-engine.js";
import { eagerEngine } from "./eager-engine.js";
import { programOf } from "./testing/agreement.js";

const engines = [["compiled", compiledCpuEngine({ threads: 1 })] as const, ["eager", eagerEngine()] as const];
const spec = { shape: [3], dtype: "float32" } as const;
const x = { shape: [3], data: Float32Array.of(1, 2, 3) };
const double = programOf({ x: spec }, (inputs) => ({
  x: tf.mul(inputs["x"]!, 2),
  same: inputs["x"]!,
  again: tf.mul(inputs["x"]!, 2),
}));

it.each(engines)("gives outputs their names, also those of inputs (%s)", async (_name, engine) => {
  const outputs = await (await engine.compile(double)).run({ x });
  expect(Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...data]]))).toEqual({
    x: [2, 4, 6],
    same: [1, 2, 3],
    again: [2, 4, 6],
  });
});

it.each(engines)("writes into given arrays (%s)", async (_name, engine) => {
  const flat = new Float32Array(5);
  const into = { x: { shape: [3], data: flat.subarray(1, 4) } };
  const outputs = await (await engine.compile(double)).run({ x }, into);
  expect([...flat]).toEqual([0, 2, 4, 6, 0]);
  expect(outputs["x"]).toBe(into.x);
  expect([...outputs["same"]!.data]).toEqual([1, 2, 3]);
});

it.each(engines)("refuses inputs that do not fit, by name (%s)", async (_name, engine) => {
  const program = await engine.compile(double);
  await expect(program.run({})).rejects.toThrow('tensor "x" is missing');
  await expect(program.run({ x: { shape: [1, 3], data: x.data } })).rejects.toThrow('"x" has shape [1, 3], not [3]');
  await expect(program.run({ x: { shape: [3], data: new Float32Array(2) } })).rejects.toThrow("has 2 elements");
  await expect(program.run({ x: { shape: [3], data: new Int32Array(3) } })).rejects.toThrow("is int32, not float32");
});

it("uses no more memory for tensors after a run than before", async () => {
  const program = await eagerEngine().compile(double);
  await program.run({ x });
  const { numTensors } = tf.memory();
  await program.run({ x });
  expect(tf.memory().numTensors).toBe(numTensors);
});

it("takes a program whose tensors are called like the engine's own", async () => {
  const inputs = { sequence: spec, "sequence.member": spec, "v4.0": spec };
  const program = programOf(inputs, (given) => ({
    sequence: tf.add(given["sequence"]!, given["sequence.member"]!),
    "sequence.next": tf.mul(given["v4.0"]!, tf.exp(given["sequence"]!)),
  }));
  const tensors = Object.fromEntries(Object.keys(inputs).map((name) => [name, x]));
  const compiled = await compiledCpuEngine({ threads: 1 }).compile(program);
  const outputs = await compiled.run(tensors);
  expect([...outputs["sequence"]!.data]).toEqual([2, 4, 6]);
  expect(outputs["sequence.next"]!.data[0]).toBeCloseTo(Math.E, 5);
  const held = await compiled.hold({ sequence: x });
  await held.advance(tensors, () => true);
  expect([...(await held.read())["sequence"]!.data]).toEqual([2, 4, 6]);
});

it.each(engines)("goes on from held state, whatever else is called like it (%s)", async (_name, engine) => {
  const held = await (await engine.compile(double)).hold({ x });
  await held.advance({ x: { shape: [3], data: Float32Array.of(7, 7, 7) } }, () => true);
  expect([...(await held.read())["x"]!.data]).toEqual([2, 4, 6]);
});
