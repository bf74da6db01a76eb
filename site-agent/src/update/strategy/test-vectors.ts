import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { type ParameterLayout, placeParameters } from "@consilium/shared/params/layout.js";
import { type Random, randomFor } from "@consilium/shared/random.js";

/** For tests: a run of BYOL, unless the method says otherwise, with these rules. */
export function configWith(
  aggregation: Partial<Record<keyof RunConfig["aggregation"], unknown>> = {},
  method: object = { name: "byol" },
): RunConfig {
  return runConfigSchema.parse({
    name: "run",
    modality: "dermatology",
    model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
    method,
    optimizer: { learningRate: 1e-3 },
    rounds: 3,
    aggregation,
  });
}

/** For tests: tensors with the names that roles go by, a few values each. */
export function layoutOf(shapes: Readonly<Record<string, readonly number[]>>): ParameterLayout {
  return placeParameters(
    Object.entries(shapes).map(([name, shape]) => ({ name, shape, initializer: { kind: "zeros" } })),
  );
}

/** For tests: BYOL in small: encoder, projector, predictor, and a teacher of the first two. */
export const smallLayout = layoutOf({
  "patch_embed.proj.weight": [3, 4],
  "patch_embed.proj.bias": [3],
  "projector.fc1.weight": [2, 3],
  "predictor.fc1.weight": [2, 2],
  "predictor.fc1.bias": [2],
  "teacher.patch_embed.proj.weight": [3, 4],
  "teacher.patch_embed.proj.bias": [3],
  "teacher.projector.fc1.weight": [2, 3],
});

/** For tests: any weights. */
export function drawVector(name: string, layout = smallLayout, random: Random = randomFor(name)): Float32Array {
  return Float32Array.from({ length: layout.dimension }, () => random.normal());
}

/** For tests: sin(0.7 i + phase), the inputs of the golden values. */
export function wave(size: number, phase: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.sin(0.7 * i + phase));
}

/** For tests: a tensor of a vector. */
export function tensorOf(vector: Float32Array, name: string, layout = smallLayout): number[] {
  const placed = layout.parameters.find((parameter) => parameter.name === name);
  if (placed === undefined) throw new Error(`no tensor ${name}`);
  return [...vector.subarray(placed.offset, placed.offset + placed.size)];
}

/** For tests: what the coordinator makes of what sites send, Σ w (sent − global) / Σ w + global, in float64. */
export function serverMean(
  global: Float32Array,
  sites: readonly { readonly sent: Float32Array; readonly weight: number }[],
): Float32Array {
  const total = sites.reduce((sum, { weight }) => sum + weight, 0);
  return global.map((start, i) => start + sites.reduce((sum, s) => sum + s.weight * (s.sent[i]! - start), 0) / total);
}

/** For tests: the largest difference of two vectors. */
export function gap(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  return Math.max(...Array.from(actual, (value, i) => Math.abs(value - expected[i]!)));
}
