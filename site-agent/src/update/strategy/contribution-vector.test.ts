import { siteWeight } from "@consilium/shared/config/site-weight.js";
import { describe, expect, it } from "vitest";
import { contributionVector, cosine, type TrainedVectors } from "./contribution-vector.js";
import { configWith, drawVector, gap, layoutOf, serverMean, smallLayout, tensorOf, wave } from "./test-vectors.js";

const global = drawVector("global");
const trained = drawVector("trained");
const contribute = (change: Partial<TrainedVectors> = {}) =>
  contributionVector({
    config: configWith(),
    layout: smallLayout,
    ...{ global, trained, teacherMomentum: 0.9 },
    ...change,
  });
const ldawa = configWith({ strategy: { name: "l-dawa" } });
const serverEma = configWith({ teacher: "server-ema" });
const matrix = layoutOf({ "patch_embed.proj.weight": [3, 4] });

describe("contributionVector() of averaging strategies", () => {
  it.each(["fedavg", "fedprox", "fedema", "fedu"])("is what was trained for %s", (name) => {
    expect(contribute({ config: configWith({ strategy: { name } }) })).toBe(trained);
  });

  /** Weights of 300 and 100 images; sin(.7 i + 1) and sin(.7 i + 2). */
  it("averages to FedAvg's golden values", () => {
    const mean = serverMean(wave(12, 3), [
      { sent: wave(12, 1), weight: siteWeight(configWith(), 300) },
      { sent: wave(12, 2), weight: siteWeight(configWith(), 100) },
    ]);
    const golden = [
      [0.8584275953123428, 0.8505935778978089, 0.4427121099066554, -0.17338378094113435],
      [-0.7079345704159994, -0.9095326696414208, -0.6833633424944895, -0.1357975575256278],
      [0.47563594064290493, 0.8633704239104967, 0.8450483062779754, 0.42928676595890186],
    ].flat();
    expect(gap(mean, golden)).toBeLessThan(1e-6);
  });
});

describe("contributionVector() of L-DAWA", () => {
  /** cos(a, g) a and cos(b, g) b of sin(.7 i + 1), sin(.7 i + 2) and sin(.7 i + 3), averaged without weights. */
  it("averages to the golden values", () => {
    const site = { config: ldawa, layout: matrix, global: wave(12, 3) };
    const sent = [1, 2].map((phase) => contribute({ ...site, trained: wave(12, phase) }));
    const weights = [300, 100].map((images) => siteWeight(ldawa, images));
    const mean = serverMean(wave(12, 3), [
      { sent: sent[0]!, weight: weights[0]! },
      { sent: sent[1]!, weight: weights[1]! },
    ]);
    const golden = [
      [0.00835083970519998, -0.13764676138716658, -0.21890693980917303, -0.19721176392363698],
      [-0.08276481394600035, 0.07060772126633177, 0.1907723418910296, 0.22121374922430698],
      [0.14761487373721288, 0.004590416585479845, -0.1405929852136419, -0.21965330924079512],
    ].flat();
    expect(weights).toEqual([1, 1]);
    expect(gap(mean, golden)).toBeLessThan(1e-6);
  });

  it("is the identity for a model that did not move, bit by bit", () => {
    expect(contribute({ config: ldawa, trained: global })).toEqual(global);
  });

  it("weighs each tensor by itself and leaves the teacher as it is", () => {
    const sent = contribute({ config: ldawa });
    for (const { name } of smallLayout.parameters) {
      const own = tensorOf(trained, name);
      const factor = cosine(Float32Array.from(own), Float32Array.from(tensorOf(global, name)));
      const expected = name.startsWith("teacher.") ? own : own.map((value) => factor * value);
      expect(gap(tensorOf(sent, name), expected), name).toBeLessThan(1e-6);
    }
  });

  it("sends a tensor as it is that was or is zero", () => {
    const zeros = new Float32Array(12);
    const site = { config: ldawa, layout: matrix };
    expect(contribute({ ...site, global: zeros, trained: wave(12, 1) })).toEqual(wave(12, 1));
    expect(contribute({ ...site, global: wave(12, 1), trained: zeros })).toEqual(zeros);
  });
});

describe("contributionVector() of a teacher that follows the server", () => {
  it("averages to one step of the averaged student's EMA", () => {
    const sites = ["a", "b", "c"].map((name, i) => ({ trained: drawVector(name), weight: 100 * (i + 1) }));
    const teacherMomentum = 0.996 ** 50;
    const mean = serverMean(
      global,
      sites.map((site) => ({ sent: contribute({ config: serverEma, ...site, teacherMomentum }), weight: site.weight })),
    );
    for (const { name } of smallLayout.parameters.filter((placed) => placed.name.startsWith("teacher."))) {
      const student = tensorOf(mean, name.slice("teacher.".length));
      const before = tensorOf(global, name);
      const expected = before.map((t, i) => teacherMomentum * t + (1 - teacherMomentum) * student[i]!);
      expect(gap(tensorOf(mean, name), expected), name).toBeLessThan(1e-6);
    }
  });

  it("follows the student that is sent, so that this holds with L-DAWA too", () => {
    const config = configWith({ strategy: { name: "l-dawa" }, teacher: "server-ema" });
    const sent = contribute({ config, teacherMomentum: 0 });
    const [teacher, student] = ["teacher.projector.fc1.weight", "projector.fc1.weight"];
    expect(gap(tensorOf(sent, teacher), tensorOf(sent, student))).toBeLessThan(1e-6);
    expect(gap(tensorOf(sent, student), tensorOf(trained, student))).toBeGreaterThan(1e-3);
  });

  it("stays where it was at a momentum of one, and trained tensors are sent as trained", () => {
    const sent = contribute({ config: serverEma, teacherMomentum: 1 });
    for (const { name } of smallLayout.parameters) {
      const expected = name.startsWith("teacher.") ? global : trained;
      expect(tensorOf(sent, name), name).toEqual(tensorOf(expected, name));
    }
  });

  it("refuses a momentum that is none", () => {
    expect(() => contribute({ config: serverEma, teacherMomentum: Number.NaN })).toThrow(/NaN is outside/);
    expect(() => contribute({ config: serverEma, teacherMomentum: 1.1 })).toThrow(/1.1 is outside/);
  });
});

it("changes no vector that it is given, and refuses those of another model", () => {
  const before = trained.slice();
  contribute({ config: configWith({ strategy: { name: "l-dawa" }, teacher: "server-ema" }) });
  expect(trained).toEqual(before);
  expect(() => contribute({ trained: new Float32Array(2) })).toThrow(/trained vector has 2 values/);
});
