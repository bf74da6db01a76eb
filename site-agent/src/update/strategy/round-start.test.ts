import { describe, expect, it } from "vitest";
import { lambdaOf, ownShare, type RoundStartInput, roundStart } from "./round-start.js";
import { configWith, drawVector, gap, layoutOf, smallLayout, tensorOf, wave } from "./test-vectors.js";

const global = drawVector("global");
const own = drawVector("own");
const begin = (change: Partial<RoundStartInput> = {}) =>
  roundStart({ config: configWith(), layout: smallLayout, global, own, missed: false, memory: {}, ...change });
const strategy = (name: string, settings: object = {}, teacher = "average") =>
  configWith({ strategy: { name, ...settings }, teacher });

const encoder = "patch_embed.proj.weight";
const averaged = ["teacher.patch_embed.proj.weight", "teacher.patch_embed.proj.bias", "teacher.projector.fc1.weight"];
const trained = smallLayout.parameters.map(({ name }) => name).filter((name) => !averaged.includes(name));

describe("roundStart() of strategies that begin at the checkpoint", () => {
  it.each(["fedavg", "fedprox", "l-dawa"])("hands the checkpoint on for %s", (name) => {
    const start = begin({ config: strategy(name) });
    expect(start.vector).toBe(global);
    expect(start.memory).toEqual({});
  });
});

describe("roundStart() of FedEMA", () => {
  const fedema = strategy("fedema");

  /** One matrix of 12 values; λ from sin(.7 i + 3), μ and the mixture with sin(.7 i + 2), own sin(.7 i + 1). In float64. */
  it("has the values of the formula", () => {
    const layout = layoutOf({ [encoder]: [3, 4] });
    const site = { config: fedema, layout, own: wave(12, 1) };
    const first = begin({ ...site, global: wave(12, 3) });
    expect(first.memory.lambda).toBeCloseTo(0.1640359099452238, 6);
    const { vector, memory } = begin({ ...site, global: wave(12, 2), memory: first.memory });
    expect(memory).toEqual(first.memory);
    const merged = [
      [0.8835900787212381, 0.6412532414138019, 0.09732498481116289, -0.492376732893003],
      [-0.8505059795189127, -0.8086289744545598, -0.3864411275279642, 0.21749601998421594],
      [0.7191413908287613, 0.8825633286723416, 0.630901942608904, 0.08251751482171266],
    ].flat();
    expect(gap(vector, merged)).toBeLessThan(1e-6);
    const distance = Math.hypot(...wave(12, 2).map((value, i) => value - wave(12, 1)[i]!));
    expect(ownShare(first.memory.lambda, distance)).toBeCloseTo(0.3790166097420047, 6);
  });

  it("gives a site's own model the share τ when λ is fixed, of every trained tensor", () => {
    const { vector } = begin({ config: strategy("fedema", { tau: 0.25 }) });
    for (const name of trained) {
      const expected = tensorOf(own, name).map((value, i) => 0.25 * value + 0.75 * tensorOf(global, name)[i]!);
      expect(gap(tensorOf(vector, name), expected), name).toBeLessThan(1e-6);
    }
    for (const name of averaged) expect(tensorOf(vector, name)).toEqual(tensorOf(global, name));
  });

  it("measures the distance over the encoder's matrices only", () => {
    const [lambda, rest] = [begin({ config: fedema }).memory.lambda, own.map((value, i) => (i < 12 ? value : -value))];
    expect(begin({ config: fedema, own: rest }).memory.lambda).toBe(lambda);
    const distance = Math.hypot(...tensorOf(own, encoder).map((value, i) => value - tensorOf(global, encoder)[i]!));
    expect(lambda).toBeCloseTo(0.7 / distance, 9);
  });

  it("is FedAvg at μ = 0 and local training at μ = 1, bit by bit", () => {
    const atZero = begin({ config: fedema, memory: { lambda: 0 } });
    expect(atZero.vector).toEqual(global);
    const atOne = begin({ config: fedema, memory: { lambda: 1e9 } });
    for (const name of trained) expect(tensorOf(atOne.vector, name)).toEqual(tensorOf(own, name));
  });

  it("begins at the checkpoint in a site's first round and after one that it missed, and keeps λ", () => {
    expect(begin({ config: fedema, own: undefined })).toEqual({ vector: global, memory: {} });
    const memory = { lambda: 0.5 };
    expect(begin({ config: fedema, missed: true, memory })).toEqual({ vector: global, memory });
  });

  it("does not fix λ from equal encoders", () => {
    expect(begin({ config: fedema, own: global.slice() })).toEqual({ vector: global, memory: {} });
    expect(lambdaOf(0.7, 0)).toBeUndefined();
  });

  it("changes neither vector", () => {
    const [before, ownBefore] = [global.slice(), own.slice()];
    begin({ config: strategy("fedema", {}, "fedema") });
    expect(global).toEqual(before);
    expect(own).toEqual(ownBefore);
  });
});

describe("roundStart() with a teacher that is mixed", () => {
  it("uses the strategy's share where that is FedEMA", () => {
    const { vector } = begin({ config: strategy("fedema", { tau: 0.5 }, "fedema") });
    expect(
      gap(
        vector,
        own.map((value, i) => (value + global[i]!) / 2),
      ),
    ).toBeLessThan(1e-6);
  });

  it("has a share of its own with another strategy, and leaves trained tensors alone", () => {
    const { vector, memory } = begin({ config: strategy("fedavg", {}, "fedema") });
    expect(memory.lambda).toBe(begin({ config: strategy("fedema") }).memory.lambda);
    for (const name of trained) expect(tensorOf(vector, name)).toEqual(tensorOf(global, name));
    for (const name of averaged) {
      const expected = tensorOf(own, name).map((value, i) => 0.7 * value + 0.3 * tensorOf(global, name)[i]!);
      expect(gap(tensorOf(vector, name), expected), name).toBeLessThan(1e-6);
    }
  });
});

describe("roundStart() of FedU", () => {
  const near = global.map((value, i) => value + (i < 12 ? 0.01 : 1));
  const predictor = ["predictor.fc1.weight", "predictor.fc1.bias"];

  it("keeps the site's own predictor from the threshold on", () => {
    const { vector } = begin({ config: strategy("fedu") });
    for (const { name } of smallLayout.parameters) {
      const expected = predictor.includes(name) ? own : global;
      expect(tensorOf(vector, name), name).toEqual(tensorOf(expected, name));
    }
  });

  it("takes the federation's predictor below it", () => {
    // The encoders' distance: 0.01 √12 ≈ 0.0346.
    expect(begin({ config: strategy("fedu", { threshold: 0.035 }), own: near }).vector).toEqual(global);
    const kept = begin({ config: strategy("fedu", { threshold: 0.034 }), own: near });
    expect(tensorOf(kept.vector, "predictor.fc1.bias")).toEqual(tensorOf(near, "predictor.fc1.bias"));
    expect(begin({ config: strategy("fedu"), missed: true }).vector).toBe(global);
  });

  it("treats the heads of a method without a predictor like one", () => {
    const layout = layoutOf({ [encoder]: [3, 4], "head.fc1.weight": [2, 2], "head.fc2.bias": [2] });
    const config = configWith({ strategy: { name: "fedu" } }, { name: "simclr" });
    const both = { global: drawVector("a", layout), own: drawVector("b", layout) };
    const { vector } = begin({ config, layout, ...both });
    expect(vector).toEqual(Float32Array.of(...both.global.slice(0, 12), ...both.own.slice(12)));
  });

  it("keeps predictor and mixes teacher at once", () => {
    const { vector } = begin({ config: strategy("fedu", {}, "fedema") });
    expect(tensorOf(vector, "predictor.fc1.bias")).toEqual(tensorOf(own, "predictor.fc1.bias"));
    const [name = ""] = averaged;
    const expected = tensorOf(own, name).map((value, i) => 0.7 * value + 0.3 * tensorOf(global, name)[i]!);
    expect(gap(tensorOf(vector, name), expected)).toBeLessThan(1e-6);
  });
});

it("refuses vectors of another model", () => {
  expect(() => begin({ own: new Float32Array(3) })).toThrow(/own vector has 3 values/);
  expect(() => begin({ global: new Float32Array(3) })).toThrow(/global vector has 3 values/);
});
