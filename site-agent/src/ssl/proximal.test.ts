import { type ParameterLayout, placeParameters } from "@consilium/shared/params/layout.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { programOf, runBoth } from "../engine/testing/agreement.js";
import type { HostTensor, HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import { movingAverage } from "./ema.js";
import type { SslMethod } from "./method.js";
import { proximal } from "./proximal.js";

const layout: ParameterLayout = placeParameters([
  { name: "weight", shape: [2, 3], initializer: { kind: "ones" } },
  { name: "bias", shape: [3], initializer: { kind: "zeros" } },
]);
const mu = 0.3;

/** Loss Σ (weight + bias)³ / 3 − teacher · bias, with a teacher of the bias. */
const cubic: SslMethod = {
  name: "cubic",
  views: [],
  separable: true,
  coupling: undefined,
  carried: {
    specs: { "teacher.bias": { shape: [3], dtype: "float32" } },
    travel: { "teacher.bias": "averaged" },
    start: (parameters) => ({ "teacher.bias": parameters["bias"]! }),
    afterStep({ parameters, carried }) {
      expect(Object.keys(carried)).toEqual(["teacher.bias"]);
      return { "teacher.bias": movingAverage(carried["teacher.bias"]!, parameters["bias"]!, 0.5) };
    },
  },
  extraInputs: () => ({}),
  drawExtraInputs: () => ({}),
  loss(parameters, _batch, carried) {
    expect(Object.keys(carried)).toEqual(["teacher.bias"]);
    const cubes = tf.mul(tf.sum(tf.pow(tf.add(parameters["weight"]!, parameters["bias"]!), 3)), 1 / 3);
    const loss: Scalar = tf.sub(cubes, tf.sum(tf.mul(carried["teacher.bias"]!, parameters["bias"]!)));
    return { loss, terms: { cubes: cubes.asScalar() }, observed: { bias: parameters["bias"]! } };
  },
};

const method = proximal(cubic, layout, mu);
const random = randomFor("proximal");
const draw = (shape: readonly number[], size: number): HostTensor => ({
  shape,
  data: Float32Array.from({ length: size }, () => random.normal()),
});
const tensors = layout.parameters.map(({ name, shape, size }) => [name, draw(shape, size)] as const);
const parameters: HostTensors = Object.fromEntries(tensors);
const anchors: HostTensors = Object.fromEntries(
  layout.parameters.map(({ name, shape, size }) => [`anchor.${name}`, draw(shape, size)]),
);
const teacher = { "teacher.bias": draw([3], 3) };
const names = Object.keys(parameters);

const specsOf = (inputs: HostTensors): TensorSpecs =>
  Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, { shape, dtype: "float32" }]));

/** "loss", "proximal" and "gradient/…" of a method. */
async function differentiated(of: SslMethod, inputs: HostTensors) {
  const program = programOf(specsOf(inputs), (given) => {
    let pull: Tensor = tf.scalar(0);
    const { value, grads } = tf.valueAndGrads((...args: Tensor[]) => {
      const named: NamedTensors = Object.fromEntries(names.map((name, at) => [name, args[at]!]));
      const { loss, terms } = of.loss(named, {}, given);
      pull = tf.keep(tf.clone(terms["proximal"] ?? tf.scalar(0)));
      return loss;
    })(names.map((name) => given[name]!));
    const gradients = names.map((name, at) => [`gradient/${name}`, grads[at]!] as const);
    return { loss: value, proximal: tf.mul(pull, 1), ...Object.fromEntries(gradients) };
  });
  return runBoth(program, inputs);
}

/** The loss in float64. */
function lossOf(w: ArrayLike<number>, b: ArrayLike<number>): number {
  const t = teacher["teacher.bias"].data;
  const [aw, ab] = [anchors["anchor.weight"]!.data, anchors["anchor.bias"]!.data];
  let loss = 0;
  for (let i = 0; i < 6; i++) loss += (w[i]! + b[i % 3]!) ** 3 / 3 + (mu / 2) * (w[i]! - aw[i]!) ** 2;
  for (let i = 0; i < 3; i++) loss += (mu / 2) * (b[i]! - ab[i]!) ** 2 - t[i]! * b[i]!;
  return loss;
}

const inputs = { ...parameters, ...teacher, ...anchors };

describe("proximal()", () => {
  it("has the loss of the formula and the gradient of its finite differences, on both engines", async () => {
    const [w, b] = [[...parameters["weight"]!.data], [...parameters["bias"]!.data]];
    const h = 1e-5;
    const slope = (at: number, of: "weight" | "bias") => {
      const moved = (by: number) => {
        const change = (values: readonly number[], changed: boolean) =>
          values.map((value, i) => (changed && i === at ? value + by : value));
        return lossOf(change(w, of === "weight"), change(b, of === "bias"));
      };
      return (moved(h) - moved(-h)) / (2 * h);
    };
    for (const outputs of Object.values(await differentiated(method, inputs))) {
      expect(outputs["loss"]!.data[0]).toBeCloseTo(lossOf(w, b), 4);
      for (const name of ["weight", "bias"] as const) {
        outputs[`gradient/${name}`]!.data.forEach((value: number, at: number) => {
          expect(value, `${name} ${at}`).toBeCloseTo(slope(at, name), 4);
        });
      }
    }
  });

  it("adds nothing at the anchor: neither loss nor gradient", async () => {
    const at = Object.fromEntries(names.map((name) => [`anchor.${name}`, parameters[name]!]));
    const here = await differentiated(method, { ...inputs, ...at });
    const plain = await differentiated(
      { ...cubic, loss: (p, x, carried) => cubic.loss(p, x, { "teacher.bias": carried["teacher.bias"]! }) },
      inputs,
    );
    expect(here.eager["proximal"]!.data[0]).toBe(0);
    for (const [name, { data }] of Object.entries(plain.eager)) expect(here.eager[name]!.data, name).toEqual(data);
  });

  it("keeps the terms and observations of the method, and says how strong the pull is", () => {
    const named = Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, data }]) => [name, tf.tensor(data, [...shape])]),
    );
    const result = method.loss(named, {}, named);
    expect(Object.keys(result.terms)).toEqual(["cubes", "proximal"]);
    expect(Object.keys(result.observed ?? {})).toEqual(["bias"]);
    const squares = names.map((name) =>
      [...parameters[name]!.data].reduce((sum, x, i) => sum + (x - anchors[`anchor.${name}`]!.data[i]!) ** 2, 0),
    );
    expect(result.terms["proximal"]!.dataSync()[0]).toBeCloseTo((mu / 2) * (squares[0]! + squares[1]!), 4);
  });
});

describe("the anchors", () => {
  const { carried } = method;

  it("begin each round anew, as the parameters, beside what the method carries", () => {
    expect(Object.keys(carried?.specs ?? {})).toEqual(["teacher.bias", "anchor.weight", "anchor.bias"]);
    expect(carried?.travel).toEqual({ "teacher.bias": "averaged", "anchor.weight": "anew", "anchor.bias": "anew" });
    expect(carried?.start(parameters)).toEqual({
      "teacher.bias": parameters["bias"],
      "anchor.weight": parameters["weight"],
      "anchor.bias": parameters["bias"],
    });
  });

  it("stay where they are while the teacher moves", () => {
    const [weight, bias] = [tf.tensor2d([[5]]), tf.tensor1d([4, 4, 4])];
    const before = { "teacher.bias": tf.zerosLike(bias), "anchor.weight": weight, "anchor.bias": bias };
    const after = carried!.afterStep({ parameters: { weight, bias }, carried: before, observed: {}, scalars: {} });
    expect(after["anchor.weight"]).toBe(weight);
    expect(after["anchor.bias"]).toBe(bias);
    expect([...after["teacher.bias"]!.dataSync()]).toEqual([2, 2, 2]);
  });

  it("are all that a method without state carries", () => {
    const { carried: none, ...stateless } = cubic;
    const made = proximal(stateless, layout, mu).carried!;
    expect(none).toBeDefined();
    expect(Object.keys(made.specs)).toEqual(["anchor.weight", "anchor.bias"]);
    expect(made.travel).toEqual({ "anchor.weight": "anew", "anchor.bias": "anew" });
  });
});
