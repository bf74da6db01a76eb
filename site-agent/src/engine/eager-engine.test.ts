import { describe, expect, it } from "vitest";
import type { HostTensors } from "../model/tensors.js";
import { tf } from "../model/tf.js";
import { eagerEngine } from "./eager-engine.js";
import { programOf } from "./testing/agreement.js";

const spec = { shape: [2], dtype: "float32" } as const;
const floats = (...values: number[]) => ({ shape: [values.length], data: Float32Array.from(values) });
const values = (tensors: HostTensors) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, [...data]]));
const yes = () => true;

/** Adds the step to the total, keeps what it was given last, and swaps two tensors. */
const counting = programOf({ total: spec, last: spec, left: spec, right: spec, same: spec, step: spec }, (inputs) => ({
  total: tf.add(inputs["total"]!, inputs["step"]!),
  last: inputs["step"]!,
  left: inputs["right"]!,
  right: inputs["left"]!,
  same: inputs["same"]!,
  sum: tf.sum(inputs["step"]!),
}));
const start = { total: floats(0, 0), last: floats(0, 0), left: floats(1, 1), right: floats(2, 2), same: floats(3, 3) };

async function holding(state: HostTensors = start) {
  return (await eagerEngine().compile(counting)).hold(state);
}

describe("state that is held", () => {
  it("moves on, and comes back as a copy", async () => {
    const held = await holding();
    expect(values(await held.advance({ step: floats(1, 2) }, yes))).toEqual({ sum: [3] });
    await held.advance({ step: floats(1, 2) }, yes);
    const expected = { total: [2, 4], last: [1, 2], left: [1, 1], right: [2, 2], same: [3, 3] };
    const read = await held.read();
    expect(values(read)).toEqual(expected);
    read["total"]!.data.fill(9);
    expect(values(await held.read())).toEqual(expected);
  });

  it("stays as it is when the outputs are not accepted", async () => {
    const held = await holding();
    await held.advance({ step: floats(1, 2) }, (outputs) => outputs["sum"]!.data[0] !== 3);
    expect(values(await held.read())["total"]).toEqual([0, 0]);
    await held.advance({ step: floats(1, 1) }, yes);
    expect(values(await held.read())["total"]).toEqual([1, 1]);
  });

  it("is not the caller's arrays", async () => {
    const [total, step] = [floats(0, 0), floats(1, 1)];
    const held = await holding({ ...start, total });
    total.data.fill(7);
    await held.advance({ step }, yes);
    step.data.fill(7);
    expect(values(await held.read())).toMatchObject({ total: [1, 1], last: [1, 1] });
  });

  it("uses no more tensors after many steps than after one, and none after its release", async () => {
    const before = tf.memory().numTensors;
    const held = await holding();
    await held.advance({ step: floats(1, 1) }, yes);
    const { numTensors, numBytes } = tf.memory();
    for (let step = 0; step < 5; step++) await held.advance({ step: floats(1, 1) }, () => step % 2 === 0);
    expect(tf.memory()).toMatchObject({ numTensors, numBytes });
    await held.release();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("must be inputs that the program hands back", async () => {
    const compiled = await eagerEngine().compile(counting);
    await expect(compiled.hold({ other: floats(1, 1) })).rejects.toThrow('has no input "other" to hold');
    const held = await compiled.hold({ ...start, step: floats(1, 1) });
    await expect(held.advance({}, yes)).rejects.toThrow('does not hand back "step"');
  });

  it("may be reported under another name", async () => {
    const program = programOf({ total: spec }, ({ total }) => {
      const next = tf.add(total!, 1);
      return { total: next, before: total!, after: next };
    });
    const held = await (await eagerEngine().compile(program)).hold({ total: floats(0, 0) });
    for (const accepts of [false, true, true]) await held.advance({}, () => accepts);
    expect(values(await held.read())).toEqual({ total: [2, 2] });
  });

  it("is checked, like the other inputs", async () => {
    const compiled = await eagerEngine().compile(counting);
    await expect(compiled.hold({ total: floats(1) })).rejects.toThrow('"total" has shape [1], not [2]');
    await expect((await compiled.hold(start)).advance({}, yes)).rejects.toThrow('"step" is missing');
  });
});

it("gives a program bytes as float32", async () => {
  const program = programOf({ x: { shape: [2], dtype: "uint8" } }, ({ x }) => ({ half: tf.mul(x!, 0.5) }));
  const compiled = await eagerEngine().compile(program);
  expect(values(await compiled.run({ x: { shape: [2], data: Uint8Array.of(255, 1) } }))).toEqual({
    half: [127.5, 0.5],
  });
});

describe("what a backend throws", () => {
  const failing = (message: string) =>
    programOf({}, () => {
      throw new Error(message);
    });
  const thrown = async (message: string) => (await eagerEngine().compile(failing(message))).run({});

  it("names a kernel that it lacks", async () => {
    const missing = thrown("Kernel 'Erf' not registered for backend 'tensorflow'");
    await expect(missing).rejects.toMatchObject({ code: "kernel-missing", message: expect.stringContaining("Erf") });
  });

  it("says when the device is too small", async () => {
    const failed = thrown("OOM when allocating tensor with shape[64,197,768]");
    await expect(failed).rejects.toMatchObject({ code: "out-of-memory" });
  });

  it("is left alone otherwise", async () => {
    await expect(thrown("something else")).rejects.toThrow(/^something else$/);
  });
});
