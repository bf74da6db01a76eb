import { planWeightCap, siteWeight } from "@consilium/shared/config/site-weight.js";
import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { contributionVector } from "./contribution-vector.js";
import { roundStart, type StrategyMemory } from "./round-start.js";
import { configWith, drawVector, gap, serverMean, smallLayout, tensorOf } from "./test-vectors.js";

/** A federation whose sites pull the student towards targets of their own, with a teacher behind it; no images. */

interface Site {
  readonly name: string;
  readonly images: number;
}

interface SimulatedSite {
  own: Float32Array | undefined;
  memory: StrategyMemory;
}

type Rules = ReturnType<typeof configWith>;

const steps = 4;
const rate = 0.2;
const momentumAt = (step: number) => 0.9 + 0.02 * step;
const roundMomentum = [0, 1, 2, 3].reduce((product, step) => product * momentumAt(step), 1);
const studentSize = smallLayout.parameters.find(({ name }) => name.startsWith("teacher."))!.offset;
const teachers = smallLayout.parameters.filter(({ name }) => name.startsWith("teacher."));

const placeOf = (name: string) => smallLayout.parameters.find((placed) => placed.name === name)!;

/** s ← s + rate (target − s), then t ← m t + (1 − m) s. */
function train(start: Float32Array, target: Float32Array): Float32Array {
  const vector = start.slice();
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < studentSize; i++) vector[i] = vector[i]! + rate * (target[i]! - vector[i]!);
    const m = momentumAt(step);
    for (const { name, offset, size } of teachers) {
      const student = placeOf(name.slice("teacher.".length)).offset;
      for (let i = 0; i < size; i++) vector[offset + i] = m * vector[offset + i]! + (1 - m) * vector[student + i]!;
    }
  }
  return vector;
}

function simulate(config: Rules, sites: readonly Site[], rounds = 3): Float32Array {
  const states: SimulatedSite[] = sites.map(() => ({ own: undefined, memory: {} }));
  let global = drawVector("start");
  for (let round = 0; round < rounds; round++) {
    const contributions = sites.map(({ name, images }, index) => {
      const state = states[index]!;
      const { vector, memory } = roundStart({ config, layout: smallLayout, global, missed: false, ...state });
      const trained = train(vector, drawVector(`target ${name}`));
      Object.assign(state, { own: trained, memory });
      const sent = contributionVector({
        ...{ config, layout: smallLayout, global, trained },
        teacherMomentum: roundMomentum,
      });
      return { sent, weight: siteWeight(config, images) };
    });
    global = serverMean(global, contributions);
  }
  return global;
}

const sites: readonly Site[] = [
  { name: "a", images: 300 },
  { name: "b", images: 100 },
  { name: "c", images: 250 },
];

const strategies = ["fedavg", "fedprox", "fedema", "fedu", "l-dawa"];
const teacherRules = ["average", "fedema", "server-ema"];
const everyRule = strategies.flatMap((name) => teacherRules.map((teacher): [string, string] => [name, teacher]));

describe.each(everyRule)("%s with teacher %s", (name, teacher) => {
  const config = configWith({ strategy: { name }, teacher });

  it("does not depend on the sites' order", () => {
    const [a, b, c] = sites as [Site, Site, Site];
    expect(gap(simulate(config, [c, a, b]), simulate(config, sites))).toBeLessThan(1e-6);
  });

  it("is one site's own training when all sites are alike", () => {
    const alone = simulate(config, [{ name: "a", images: 300 }]);
    const copies = [1, 2, 3, 4].map((copy) => ({ name: "a", images: 100 * copy }));
    expect(gap(simulate(config, copies), alone)).toBeLessThan(1e-5);
  });

  it("has weights that sum to one", () => {
    const weights = sites.map(({ images }) => siteWeight(config, images));
    const shares = weights.map((weight) => weight / weights.reduce((sum, other) => sum + other, 0));
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(Math.max(...weights)).toBeLessThanOrEqual(planWeightCap(config));
  });
});

describe("teachers", () => {
  const averageOf = (vectors: readonly Float32Array[]) =>
    serverMean(
      drawVector("start"),
      vectors.map((sent) => ({ sent, weight: 1 })),
    );

  it("average to the EMA of the averaged students when momenta and steps are alike", () => {
    const targets = ["a", "b", "c"].map((name) => drawVector(`target ${name}`));
    // Training is linear in the target, so the averaged students are those of the averaged target, step by step.
    const apart = averageOf(targets.map((target) => train(drawVector("start"), target)));
    const together = train(drawVector("start"), averageOf(targets));
    expect(gap(apart, together)).toBeLessThan(1e-6);
  });

  it("do not when the momenta differ", () => {
    const students = [1, 5];
    const follow = (student: number, momentum: number) => momentum * 4 + (1 - momentum) * student;
    const apart = (follow(students[0]!, 0.5) + follow(students[1]!, 0.9)) / 2;
    expect(Math.abs(apart - follow(3, 0.7))).toBeGreaterThan(0.1);
  });
});

it("L-DAWA shrinks the mean where sites disagree, and FedAvg's mean stays with the larger site", () => {
  const name = "patch_embed.proj.weight";
  const norm = (rules: Rules) => Math.hypot(...tensorOf(simulate(rules, sites, 1), name));
  expect(norm(configWith({ strategy: { name: "l-dawa" } }))).toBeLessThan(norm(configWith()));
  const random = randomFor("weights");
  const heavy = sites.map((site) => ({ ...site, images: site.name === "b" ? 1e6 : 1 + random.integer(3) }));
  const alone = simulate(configWith(), [{ name: "b", images: 1 }]);
  expect(gap(simulate(configWith(), heavy), alone)).toBeLessThan(1e-4);
});
