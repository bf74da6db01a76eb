import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { describe, expect, it } from "vitest";
import { block } from "../model/layers.js";
import type { HostTensor, TensorSpecs } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { updateRule } from "./optimizer.js";
import { slotInput } from "./step-inputs.js";
import { type BothRuns, drawInputs, programOf, relativeDifference, runBoth } from "./testing/agreement.js";
import {
  configOf,
  gradientInputs,
  gradientProgram,
  type MethodCase,
  smallMethods,
  stepOptions,
} from "./testing/method-gradients.js";
import { trainStepProgram } from "./train-step.js";

const largestOf = ({ data }: HostTensor) =>
  Array.from(data).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** The largest difference relative to the largest magnitude; unlike losses, gradients may be small throughout. */
function gradientDifference(expected: HostTensor, actual: HostTensor): number {
  const unit = Math.max(largestOf(expected), 1e-6);
  const scaled = ({ shape, data }: HostTensor) => ({
    shape,
    data: Float32Array.from(data, (value) => value / unit),
  });
  return relativeDifference(scaled(expected), scaled(actual));
}

/**
 * Tensors without effect, such as a bias in front of a norm over the batch: their gradients are rounding errors alone, far
 * below the others, and must be so on both engines.
 */
function cancelled({ eager, compiled }: BothRuns, names: readonly string[]): Set<string> {
  const bound = 1e-5 * Math.max(...names.map((name) => largestOf(eager[name]!)));
  const negligible = names.filter((name) => largestOf(eager[name]!) < bound);
  for (const name of negligible) expect(largestOf(compiled[name]!), name).toBeLessThan(bound);
  return new Set(negligible);
}

function expectAgreement(runs: BothRuns): void {
  const { eager, compiled } = runs;
  expect(relativeDifference(eager["loss"]!, compiled["loss"]!)).toBeLessThan(1e-5);
  const gradients = Object.keys(eager).filter((name) => name.startsWith("gradient/"));
  expect(gradients.length).toBeGreaterThan(0);
  const without = cancelled(runs, gradients);
  const far = gradients.filter(
    (name) => !without.has(name) && !(gradientDifference(eager[name]!, compiled[name]!) < 1e-4),
  );
  expect(far).toEqual([]);
}

const { simclr, byol, mae, dino, ibot, dinov2, gmml, sit, colorme } = smallMethods;
const small = { imageSize: 32, patchSize: 8 };
const large = { imageSize: 32, patchSize: 16 };

const cases: readonly (MethodCase & { readonly title: string })[] = [
  { title: "simclr, mean of patches", model: small, method: { ...simclr, pooling: "mean" } },
  { title: "simclr, class token", model: small, method: { ...simclr, pooling: "class" } },
  { title: "simclr, large patches", model: large, method: { ...simclr, temperature: 0.2 } },
  { title: "mae", model: small, method: mae },
  { title: "mae, one head, raw pixels", model: small, method: { ...mae, decoderHeads: 1, normalizePixels: false } },
  { title: "mae, large patches, two decoder blocks", model: large, method: { ...mae, decoderBlocks: 2 } },
  { title: "simclr on vit-tiny", model: { ...large, architecture: "vit-tiny" }, method: simclr },
  { title: "byol, norms over the batch", model: small, method: byol },
  { title: "byol, norms over the image", model: small, method: { ...byol, headNorm: "layer" } },
  { title: "dino with small crops", model: small, method: dino },
  {
    title: "dino without small crops, trained lengths",
    model: small,
    method: { ...dino, localCrops: 0, normalizeLastLayer: false },
  },
  { title: "dino with stochastic depth", model: { ...small, dropPath: 0.3 }, method: dino },
  { title: "ibot", model: small, method: ibot },
  { title: "dinov2", model: { ...small, layerScale: 0.1, registers: 2 }, method: dinov2 },
  {
    title: "dinov2, balanced, two heads",
    model: small,
    method: { ...dinov2, teacherNormalization: "sinkhorn-knopp", sharedHead: false },
  },
  { title: "gmml", model: small, method: gmml },
  { title: "gmml with stochastic depth", model: { ...small, dropPath: 0.3 }, method: gmml },
  { title: "sit, norms over the batch", model: small, method: sit },
  { title: "sit, norms over the image", model: small, method: { ...sit, headNorm: "layer" } },
  { title: "colorme", model: small, method: colorme },
];

it.each(cases)(
  "has the same loss and gradients on both engines: $title",
  async (entry) => {
    const config = configOf(entry);
    expectAgreement(await runBoth(gradientProgram(config, 3), gradientInputs(config, 3)));
  },
  120_000,
);

describe("a transformer block", () => {
  const width = 12;
  const floats = (...shape: number[]) => ({ shape, dtype: "float32" as const });
  const linear = (name: string, outputs: number, inputs: number): TensorSpecs => ({
    [`${name}.weight`]: floats(outputs, inputs),
    [`${name}.bias`]: floats(outputs),
  });
  const parameters: TensorSpecs = {
    "b.norm1.weight": floats(width),
    "b.norm1.bias": floats(width),
    ...linear("b.attn.qkv", 3 * width, width),
    ...linear("b.attn.proj", width, width),
    "b.norm2.weight": floats(width),
    "b.norm2.bias": floats(width),
    ...linear("b.mlp.fc1", 4 * width, width),
    ...linear("b.mlp.fc2", width, 4 * width),
  };
  const scales: TensorSpecs = { "b.ls1.gamma": floats(width), "b.ls2.gamma": floats(width) };

  it.each([
    [1, "one head", parameters],
    [4, "four heads", parameters],
    [2, "LayerScale", { ...parameters, ...scales }],
  ])("with %i head(s) agrees: %s", async (heads, _title, own) => {
    const specs: TensorSpecs = { ...own, x: floats(2, 5, width), target: floats(2, 5, width) };
    const names = [...Object.keys(own), "x"];
    const program = programOf(specs, (inputs) => {
      const { value, grads } = tf.valueAndGrads((...tensors: Tensor[]) => {
        const { x, ...rest } = Object.fromEntries(names.map((name, at) => [name, tensors[at]!]));
        const out = block(x!, { parameters: rest, name: "b" }, { heads });
        return tf.mean(tf.mul(out, inputs["target"]!)).asScalar();
      })(names.map((name) => inputs[name]!));
      return { loss: value, ...Object.fromEntries(names.map((name, at) => [`gradient/${name}`, grads[at]!])) };
    });
    expectAgreement(await runBoth(program, drawInputs(specs)));
  });
});

const steps = [
  { method: simclr, optimizer: { clipping: "sub-network" }, microBatches: 1 },
  { method: simclr, optimizer: { name: "lars", clipping: "global" }, microBatches: 1 },
  { method: mae, optimizer: { clipping: "tensor" }, microBatches: 1 },
  { method: mae, optimizer: { name: "lars", clipping: "sub-network" }, microBatches: 2 },
  { method: dino, optimizer: { clipping: "tensor" }, microBatches: 2 },
  { method: dinov2, optimizer: { clipping: "sub-network", layerDecay: 0.9, patchEmbeddingRate: 0.2 }, microBatches: 1 },
  { method: byol, optimizer: { name: "sgd" }, microBatches: 1 },
  { method: { ...sit, headNorm: "layer" }, optimizer: { clipping: "tensor" }, microBatches: 1 },
] as const;

it.each(steps)(
  "agrees on a whole training step of $method.name with $optimizer",
  async ({ method, optimizer, microBatches }) => {
    const rates = { learningRate: 1e-3, gradientClip: 1 };
    const config = runConfigSchema.parse({
      ...configOf({ model: small, method }),
      optimizer: { ...rates, ...optimizer },
    });
    const options = { ...stepOptions(config, 4), microBatches };
    const runs = await runBoth(trainStepProgram(options), gradientInputs(config, 4));
    const { eager, compiled } = runs;
    const difference = (name: string) => relativeDifference(eager[name]!, compiled[name]!);
    expect(compiled["finite"]!.data[0]).toBe(1);
    expect(difference("loss")).toBeLessThan(1e-5);
    expect(difference("gradientNorm")).toBeLessThan(1e-5);
    // From zero, the first moment is a tenth of the clipped gradient, and the momentum its share of the trust ratio.
    const [slot = ""] = updateRule(config.optimizer).slots;
    const moments = options.layout.parameters.map(({ name }) => slotInput(slot, name));
    const without = cancelled(runs, moments);
    for (const name of moments.filter((moment) => !without.has(moment))) {
      expect(difference(name), name).toBeLessThan(1e-4);
    }
  },
  120_000,
);
