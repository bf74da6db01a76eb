import type { MethodConfig } from "../../config/method-config.js";
import { type RunConfig, runConfigSchema } from "../../config/run-config.js";
import { randomFor } from "../../random.js";
import { sizeOf } from "../layout.js";
import type { WeightTensor, WeightTree } from "../warm-start/weight-tree.js";

/** For tests: runs of small models, and files' tensors with values that their names decide. */

export function smallRun(method: MethodConfig["name"], change: Record<string, unknown> = {}): RunConfig {
  const narrow = { dino: true, ibot: true, dinov2: true }[method as string] === true;
  return runConfigSchema.parse({
    name: "warm",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
    method: {
      name: method,
      ...(narrow ? { outputDim: 16, hiddenDim: 8, bottleneckDim: 4, localCrops: 0 } : {}),
    },
    optimizer: { learningRate: 0.001 },
    rounds: 1,
    ...change,
  });
}

export function valuesOf(name: string, shape: readonly number[]): Float32Array {
  const random = randomFor("weights", name);
  return Float32Array.from({ length: sizeOf(shape) }, () => random.normal());
}

export function tensorNamed(name: string, shape: readonly number[]): WeightTensor {
  return { shape, read: async () => valuesOf(name, shape) };
}

export type Shapes = Readonly<Record<string, readonly number[]>>;

export function treeOf(shapes: Shapes, children: Readonly<Record<string, WeightTree>> = {}): WeightTree {
  const tensors = Object.entries(shapes).map(([name, shape]): [string, WeightTensor] => [
    name,
    tensorNamed(name, shape),
  ]);
  return { tensors: new Map(tensors), children: new Map(Object.entries(children)) };
}

/** A vit-nano's tensors with timm's names. */
export function timmShapes({ grid = 4, patch = 8, depth = 4, width = 96, layerScale = false } = {}): Shapes {
  const linear = (name: string, outputs: number, inputs: number) => [
    [`${name}.weight`, [outputs, inputs]],
    [`${name}.bias`, [outputs]],
  ];
  const norm = (name: string) => [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
  const blocks = Array.from({ length: depth }, (_, i) => [
    ...norm(`blocks.${i}.norm1`),
    ...linear(`blocks.${i}.attn.qkv`, 3 * width, width),
    ...linear(`blocks.${i}.attn.proj`, width, width),
    ...(layerScale ? [[`blocks.${i}.ls1.gamma`, [width]]] : []),
    ...norm(`blocks.${i}.norm2`),
    ...linear(`blocks.${i}.mlp.fc1`, 4 * width, width),
    ...linear(`blocks.${i}.mlp.fc2`, width, 4 * width),
    ...(layerScale ? [[`blocks.${i}.ls2.gamma`, [width]]] : []),
  ]).flat();
  return Object.fromEntries([
    ["cls_token", [1, 1, width]],
    ["pos_embed", [1, grid * grid + 1, width]],
    ["patch_embed.proj.weight", [width, 3, patch, patch]],
    ["patch_embed.proj.bias", [width]],
    ...blocks,
    ...norm("norm"),
  ]) as Shapes;
}

/** The same shapes under other names. */
export function renamed(shapes: Shapes, rename: (name: string) => string): Shapes {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [rename(name), shape]));
}
