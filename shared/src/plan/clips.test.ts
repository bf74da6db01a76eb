import { describe, expect, it } from "vitest";
import { runConfigSchema } from "../config/run-config.js";
import { checkpointLayout } from "../params/checkpoint-layout.js";
import { placeParameters } from "../params/layout.js";
import { cosineAt, learningRateAt } from "../schedules.js";
import { tensorClips } from "./clips.js";
import { largestAdamStep } from "./optimizer-moves.js";

const configOf = (optimizer: object, rest: object = {}) =>
  runConfigSchema.parse({
    name: "run",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
    method: { name: "simclr" },
    optimizer: { learningRate: 1e-3, finalLearningRate: 1e-3, weightDecay: 0, warmupShare: 0, ...optimizer },
    training: { stepsPerRound: 10 },
    rounds: 3,
    ...rest,
  });

const layout = placeParameters([
  { name: "weight", shape: [8, 2], initializer: { kind: "xavier-uniform" } },
  { name: "bias", shape: [8], initializer: { kind: "zeros" } },
  { name: "gate", shape: [1, 4], initializer: { kind: "zeros" } },
]);

describe("tensorClips() of AdamW", () => {
  const clipOf = (optimizer: object) => {
    const clips = tensorClips(configOf({ beta1: 0.9, beta2: 0.99, ...optimizer }), layout, 0);
    expect(new Set(clips).size).toBe(1);
    return clips[0]!;
  };

  it("is the sum of the largest steps", () => {
    const step = largestAdamStep({ beta1: 0.9, beta2: 0.99 }, 10);
    expect(clipOf({})).toBeCloseTo(1.2 * 10 * 1e-3 * step, 8);
    expect(clipOf({ weightDecay: 0.5 })).toBeCloseTo(1.2 * 10 * 1e-3 * (step + 0.5 * 4), 8);
  });

  it("falls back to the norm of a site's update when nothing bounds a step", () => {
    expect(clipOf({ beta2: 0 })).toBe(1200);
  });

  it("is never zero, and survives 32 bits", () => {
    expect(clipOf({ learningRate: 0, finalLearningRate: 0 })).toBe(Math.fround(1e-8));
    expect(clipOf({})).toBe(Math.fround(clipOf({})));
  });
});

describe("tensorClips() of LARS", () => {
  const clipsOf = (optimizer: object) => tensorClips(configOf({ name: "lars", ...optimizer }), layout, 0);
  const steps = 1.2 * 10 * 1e-3;

  it("follows the norm of a tensor that is adapted and the clipped gradient of others", () => {
    const [weight, bias, gate] = clipsOf({ gradientClip: 3, momentum: 0.8, trustCoefficient: 0.01 });
    // A norm of at most 0.5 × 4, and five times the largest addend in the momentum.
    expect(weight).toBeCloseTo(steps * 5 * 0.01 * 2, 8);
    expect(bias).toBeCloseTo(steps * 5 * 3, 6);
    expect(gate).toBe(bias);
  });

  it("falls back to the norm of a site's update, also in a step of rate zero", () => {
    const clips = clipsOf({ warmupShare: 0.5 });
    expect(clips[0]).toBeLessThan(1e-3);
    expect(clips.slice(1)).toEqual([1200, 1200]);
    expect(clipsOf({ learningRate: 1e6, gradientClip: 3 })[0]).toBe(1200);
  });
});

describe("tensorClips() of SGD", () => {
  const clipsOf = (optimizer: object) => tensorClips(configOf({ name: "sgd", ...optimizer }), layout, 0);
  const steps = 1.2 * 10 * 1e-3;

  it("sums the clipped gradient in the momentum, and the decay of what decays", () => {
    const [weight, bias] = clipsOf({ gradientClip: 3, momentum: 0.8, weightDecay: 0.1 });
    expect(bias).toBeCloseTo(steps * 5 * 3, 6);
    expect(weight).toBeCloseTo(steps * 5 * (3 + 0.1 * 4), 6);
  });

  it("counts the largest decay so far, whose share is still in the momentum", () => {
    const falling = { gradientClip: 3, momentum: 0.8, weightDecay: 0.1, finalWeightDecay: 0 };
    expect(tensorClips(configOf({ name: "sgd", ...falling }), layout, 20)[0]).toBeCloseTo(steps * 5 * 3.4, 6);
  });

  it("falls back to the norm of a site's update", () => {
    expect(clipsOf({})).toEqual([1200, 1200, 1200]);
  });
});

describe("tensorClips() and strategies", () => {
  const clipsOf = (name: string) => tensorClips(configOf({}, { aggregation: { strategy: { name } } }), layout, 0);

  it.each(["fedema", "fedu", "l-dawa"])("leaves room for a whole weight with %s", (name) => {
    const plain = clipsOf("fedavg");
    for (const [at, clip] of clipsOf(name).entries()) expect(clip).toBeCloseTo(plain[at]! + 1.2 * 4, 5);
  });

  it("needs none with FedProx", () => {
    expect(clipsOf("fedprox")).toEqual(clipsOf("fedavg"));
  });
});

describe("tensorClips() of what is carried", () => {
  const small = { hiddenDim: 8, bottleneckDim: 4, outputDim: 16, localSize: 16 };
  const clipsOf = (run: { optimizer?: object; method?: object; rest?: object; firstStep?: number }) => {
    const { optimizer = {}, method = { name: "dino", ...small }, rest = {}, firstStep = 0 } = run;
    const config = configOf(optimizer, { method, ...rest });
    const { parameters } = checkpointLayout(config);
    const clips = tensorClips(config, checkpointLayout(config), firstStep);
    return new Map(parameters.map(({ name }, at) => [name, clips[at]!]));
  };
  const weight = "blocks.0.attn.qkv.weight";

  it("allows a teacher as many of the student's largest steps as a round has", () => {
    // A rate that falls: the teacher of the last round still catches up with the first.
    const clips = clipsOf({ optimizer: { finalLearningRate: 0, beta2: 0.99 }, firstStep: 20 });
    const largest = 1.2 * 10 * 1e-3 * largestAdamStep({ beta1: 0.9, beta2: 0.99 }, 30);
    expect(clips.get(`teacher.${weight}`)).toBeCloseTo(largest, 7);
    expect(clips.get(weight)).toBeLessThan(0.4 * largest);
  });

  it("bounds a teacher that follows the worst student, in every round", () => {
    const optimizer = { finalLearningRate: 0, warmupShare: 0.2, beta2: 0.99 };
    const method = { name: "dino", ...small, momentum: 0.8 };
    const config = configOf(optimizer, { method });
    const momentumAt = (step: number) => cosineAt(step, { base: 0.8, final: 1, steps: 30, warmupSteps: 0 });
    let [student, teacher] = [0, 0];
    for (let firstStep = 0; firstStep < 30; firstStep += 10) {
      const before = teacher;
      for (let step = firstStep; step < firstStep + 10; step++) {
        student += learningRateAt(step, config);
        teacher += (1 - momentumAt(step)) * (student - teacher);
      }
      const clip = clipsOf({ optimizer, method, firstStep }).get(`teacher.${weight}`)!;
      expect(teacher - before).toBeLessThan(clip);
      // Not by so much that the fixed point would be wasted.
      expect(teacher - before).toBeGreaterThan(clip / 20);
    }
  });

  it.each([
    ["is mixed", { aggregation: { teacher: "fedema" } }],
    ["follows the server", { aggregation: { teacher: "server-ema" } }],
    ["follows a student that is mixed", { aggregation: { strategy: { name: "fedema" } } }],
  ])("leaves room for a whole weight of a teacher that %s", (_how, rest) => {
    const plain = clipsOf({}).get(`teacher.${weight}`)!;
    expect(clipsOf({ rest }).get(`teacher.${weight}`)).toBeCloseTo(plain + 1.2 * 4, 5);
  });

  it("leaves that room for a teacher whose momentum falls", () => {
    const method = { name: "dino", ...small, momentum: 0.99, finalMomentum: 0.9 };
    expect(clipsOf({ method }).get(`teacher.${weight}`)).toBeGreaterThan(4);
  });

  it("bounds a centre by the logits of unit prototypes, more where their lengths are trained", () => {
    expect(clipsOf({}).get("centre.class")).toBe(Math.fround(1.2 * 2));
    const free = { name: "dino", ...small, normalizeLastLayer: false };
    expect(clipsOf({ method: free }).get("centre.class")).toBe(Math.fround(1.2 * 16));
    const dinov2 = clipsOf({ method: { name: "dinov2", ...small } });
    expect([dinov2.get("centre.class"), dinov2.get("centre.patch")]).toEqual([1.2 * 16, 1.2 * 16].map(Math.fround));
  });

  it("leaves running statistics a thousand, or the norm of a site's update", () => {
    const statistics = (aggregation: object) => {
      const rest = {
        model: { architecture: "resnet18", imageSize: 32 },
        aggregation: { batchStatistics: "average", ...aggregation },
      };
      return clipsOf({ method: { name: "simclr" }, rest }).get("bn1.running_var");
    };
    expect(statistics({})).toBe(1200);
    expect(statistics({ l2Clip: 10 })).toBe(12);
    expect(statistics({ batchStatistics: "local" })).toBeUndefined();
  });

  it("bounds the statistics of clusters by the ends of their ranges", () => {
    const method = { name: "clusters", clusters: 4, featureLimit: 5 };
    const config = runConfigSchema.parse({ name: "c", modality: "dermatology", method, rounds: 3 });
    const layout = checkpointLayout(config);
    expect(layout.parameters.map(({ name, size }) => [name, size])).toEqual([
      ["moments.sums", 36],
      ["moments.products", 666],
      ["cluster.centroids", 144],
      ["cluster.sums", 144],
      ["cluster.counts", 4],
    ]);
    expect(tensorClips(config, layout, 1)).toEqual([2, 2, 10, 10, 2].map((range) => Math.fround(1.2 * range)));
  });
});
