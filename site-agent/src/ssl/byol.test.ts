import type { MethodOf } from "@consilium/shared/config/method-config.js";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { resnetStatistics } from "@consilium/shared/params/resnet.js";
import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, noise, wave } from "../../../test/support/golden.js";
import { initialTensors } from "../../../test/support/parameters.js";
import { backbone } from "../model/backbone.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, type Tensor2D, tf } from "../model/tf.js";
import { cosineDistance } from "./byol.js";
import { teacherMomentum } from "./carried.js";
import { withPrefix } from "./ema.js";
import type { SslMethod } from "./method.js";
import { createMethod } from "./methods.js";

function run(settings: Partial<MethodOf<"byol">> = {}, model: object = { architecture: "vit-nano", patchSize: 4 }) {
  return runConfigSchema.parse({
    name: "byol",
    modality: "radiograph",
    model: { imageSize: 8, ...model },
    method: { name: "byol", hiddenDim: 32, projectionDim: 16, ...settings },
    optimizer: { learningRate: 1e-3 },
    rounds: 4,
    training: { stepsPerRound: 5 },
  });
}

/** Teacher and student draw from streams of their own, and the norms' statistics are zero. */
function setUp(config: RunConfig, teacherSeed = 2) {
  const layout = parameterLayout(config);
  const method = createMethod(config);
  const parameters = initialTensors(layout, 1);
  const teacher: NamedTensors = withPrefix(initialTensors(layout, teacherSeed), "teacher.");
  return { method, parameters, carried: carriedFrom(teacher, method) };
}

function carriedFrom(teacher: NamedTensors, { carried }: SslMethod): NamedTensors {
  const specs = Object.entries(carried?.specs ?? {});
  return Object.fromEntries(specs.map(([name, { shape }]) => [name, teacher[name] ?? tf.zeros([...shape])]));
}

const images = (seed: number, count = 4) =>
  tf.add(noise([count, 8, 8, 3], seed), noise([count, 1, 1, 3], 10 * seed)) as Tensor;
const batch = { view1: images(1), view2: images(2) };
const layerNorms = setUp(run({ headNorm: "layer" }));

describe("cosineDistance", () => {
  it("has the value of an independent evaluation", () => {
    const [predictions, targets] = [wave([4, 8], 1) as Tensor2D, wave([4, 8], 2) as Tensor2D];
    expectClose(cosineDistance(predictions, targets), [0.8963431305036469], 1e-5);
    expectClose(cosineDistance(predictions, tf.mul(predictions, 3)), [0], 1e-5);
    expectClose(cosineDistance(predictions, tf.neg(predictions)), [4], 1e-5);
  });
});

describe("byol", () => {
  it("asks for two views, and is a mean over images where no norm couples these", () => {
    expect(layerNorms.method.views.map(({ name }) => name)).toEqual(["view1", "view2"]);
    expect(layerNorms.method.separable).toBe(true);
    expect(createMethod(run()).separable).toBe(false);
  });

  it("gives the teacher an encoder and a projector, and no predictor", () => {
    const names = Object.keys(layerNorms.carried);
    expect(names).toContain("teacher.blocks.3.mlp.fc2.weight");
    expect(names).toContain("teacher.projector.norm.bias");
    expect(names.filter((name) => name.includes("predictor"))).toEqual([]);
    expect(names.every((name) => name.startsWith("teacher."))).toBe(true);
  });

  it.each(["batch", "layer"] as const)("starts near four, with norms over the %s", (headNorm) => {
    const { method, parameters, carried } = setUp(run({ headNorm, hiddenDim: 256, projectionDim: 128 }));
    const { loss, terms } = method.loss(parameters, batch, carried);
    expect(Math.abs((loss.dataSync()[0] ?? 0) - 4)).toBeLessThan(0.7);
    expect(terms["featureSpread"]?.dataSync()[0]).toBeGreaterThan(0);
    expect(terms["effectiveRank"]?.dataSync()[0]).toBeGreaterThan(1);
  });

  it("compares the prediction from each view with the teacher's projection of the other", () => {
    // The student is the teacher, and its predictor keeps directions: [x, −x] has mean zero, and the rectifier's halves add up.
    const config = run({ headNorm: "layer" });
    const { method, parameters, carried } = setUp(config, 1);
    const identity = tf.eye(16);
    const keeping = {
      ...parameters,
      "predictor.fc1.weight": tf.concat([identity, tf.neg(identity)], 0),
      "predictor.fc2.weight": tf.concat([identity, tf.neg(identity)], 1),
    };
    const lossOf = (view1: Tensor, view2: Tensor) => method.loss(keeping, { view1, view2 }, carried).loss;
    expectClose(lossOf(batch.view1, batch.view1), [0], 1e-5);
    expect(lossOf(batch.view1, batch.view2).dataSync()[0]).toBeGreaterThan(1e-2);
  });

  it("treats both views alike", () => {
    const { method, parameters, carried } = setUp(run());
    const swapped = { view1: batch.view2, view2: batch.view1 };
    const lossOf = (views: NamedTensors) => method.loss(parameters, views, carried).loss;
    expectClose(lossOf(swapped), lossOf(batch).dataSync(), 1e-5);
  });

  it("is the mean over images with norms over the image", () => {
    const { method, parameters, carried } = layerNorms;
    const part = (from: number) => {
      const of = (view: Tensor) => tf.slice(view, [from, 0, 0, 0], [2, 8, 8, 3]);
      return method.loss(parameters, { view1: of(batch.view1), view2: of(batch.view2) }, carried).loss;
    };
    const whole = method.loss(parameters, batch, carried).loss;
    expectClose(tf.div(tf.add(part(0), part(2)), 2), whole.dataSync(), 1e-5);
  });

  it("has the gradients of finite differences", () => {
    const { method, parameters, carried } = layerNorms;
    const names = [
      "pos_embed",
      "blocks.0.attn.qkv.weight",
      "projector.fc1.weight",
      "projector.norm.weight",
      "predictor.fc2.weight",
    ];
    const some = Object.fromEntries(names.map((name) => [name, parameters[name]!]));
    expectGradients((given) => method.loss({ ...parameters, ...given }, batch, carried).loss, some, {
      step: 1e-3,
      tolerance: 2e-2,
    });
  });

  it("trains the predictor like everything else", () => {
    const { method, parameters, carried } = layerNorms;
    const names = Object.keys(parameters);
    const gradients = tf.grads((...tensors: Tensor[]) => {
      const named = Object.fromEntries(names.map((name, index) => [name, tensors[index]!]));
      return method.loss(named, batch, carried).loss;
    })(Object.values(parameters));
    for (const [index, name] of names.entries()) {
      expect(tf.max(tf.abs(gradients[index]!)).dataSync()[0], name).toBeGreaterThan(0);
    }
  });

  it("lets the teacher follow with a momentum that rises to its final value", () => {
    const { method, parameters, carried } = layerNorms;
    const momentum = method.scalars![teacherMomentum]!;
    expect(momentum(0)).toBeCloseTo(0.996, 6);
    expect(momentum(10)).toBeCloseTo(0.998, 3);
    expect(momentum(19)).toBeGreaterThan(0.9999);
    const after = (m: number) =>
      method.carried!.afterStep({ parameters, carried, observed: {}, scalars: { [teacherMomentum]: tf.scalar(m) } });
    const [name, own] = ["teacher.projector.fc2.weight", "projector.fc2.weight"];
    expectClose(after(1)[name]!, carried[name]!.dataSync(), 0);
    const half = tf.div(tf.add(carried[name]!, parameters[own]!), 2);
    expectClose(after(0.5)[name]!, half.dataSync(), 1e-6);
  });

  it("draws the branches of a student with stochastic depth for each view, and leaves the teacher whole", () => {
    const { method, parameters, carried } = setUp(
      run({ headNorm: "layer" }, { architecture: "vit-nano", patchSize: 4, dropPath: 0.5 }),
    );
    expect(method.extraInputs(4)).toEqual({ branches: { shape: [4, 2, 8], dtype: "float32" } });
    const lossOf = (first: number, second: number) => {
      const branches = tf.concat([tf.fill([4, 1, 8], first), tf.fill([4, 1, 8], second)], 1);
      return method.loss(parameters, { ...batch, branches }, carried).loss.dataSync()[0]!;
    };
    const plain = layerNorms.method.loss(parameters, batch, layerNorms.carried).loss.dataSync()[0]!;
    expect(lossOf(1, 1)).toBeCloseTo(plain, 5);
    const [without1, without2, withoutBoth] = [lossOf(0, 1), lossOf(1, 0), lossOf(0, 0)];
    // Each view's prediction is in one term of the sum.
    expect(withoutBoth - plain).toBeCloseTo(without1 - plain + (without2 - plain), 4);
    expect(Math.abs(without1 - plain)).toBeGreaterThan(1e-4);
    expect(Math.abs(without2 - plain)).toBeGreaterThan(1e-4);
  });
});

describe("byol on a residual network", () => {
  it("follows the student's statistics over both views, one after the other, and has none of the teacher", () => {
    const config = run({}, { architecture: "resnet18" });
    const { method, parameters, carried } = setUp(config);
    const names = resnetStatistics("resnet18").map(({ name }) => name);
    const own = Object.keys(carried).filter((name) => !name.startsWith("teacher."));
    expect(own).toEqual(names);
    expect(Object.keys(carried).some((name) => name.startsWith("teacher.") && name.includes("running"))).toBe(false);

    const small = { view1: images(1, 2), view2: images(2, 2) };
    const { observed = {} } = method.loss(parameters, small, carried);
    const pass = (view: Tensor, statistics: NamedTensors) =>
      backbone({ model: config.model, parameters, statistics, images: view, pooling: "mean", mode: "training" })
        .statistics;
    const expected = pass(small.view2, pass(small.view1, carried));
    const seen = ["bn1.running_mean", "layer2.0.downsample.1.running_var", "layer4.1.bn2.running_mean"];
    for (const name of seen) expectClose(observed[name]!, expected[name]!.dataSync(), 1e-5);
    const scalars = { [teacherMomentum]: tf.scalar(1) };
    const after = method.carried!.afterStep({ parameters, carried, observed, scalars });
    for (const name of seen) expectClose(after[name]!, observed[name]!.dataSync(), 0);
  }, 60_000);
});
