import { ConsiliumError } from "@consilium/shared/errors.js";
import { permutation, type Random } from "@consilium/shared/random.js";
import type { Labels } from "./metrics.js";

/**
 * Indices of exactly `perClass` images of every class, class by class.
 * @throws ConsiliumError "not-enough-data" when a class has fewer
 */
export function sampleLabels(labels: Labels, perClass: number, random: Random): Int32Array {
  const members = new Map<number, number[]>();
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index]!;
    const known = members.get(label);
    if (known === undefined) members.set(label, [index]);
    else known.push(index);
  }
  const drawn = [...members]
    .sort(([a], [b]) => a - b)
    .map(([label, indices]) => draw(indices, { label, perClass }, random));
  return Int32Array.from(drawn.flat());
}

function draw(indices: readonly number[], wanted: { label: number; perClass: number }, random: Random): number[] {
  const { label, perClass } = wanted;
  if (indices.length < perClass) {
    throw new ConsiliumError(
      "not-enough-data",
      `class ${label} has ${indices.length} labelled images, not ${perClass}`,
      {
        remedy: `ask for at most ${indices.length} labels per class, or label more images`,
      },
    );
  }
  return Array.from(permutation(indices.length, random).subarray(0, perClass), (place) => indices[place]!);
}
