import { ConsiliumError } from "@consilium/shared/errors.js";
import type { PlacedParameter } from "@consilium/shared/params/layout.js";

/** The part of a flat vector that holds a tensor; shares its memory. */
export function partOf(vector: Float32Array, { offset, size }: PlacedParameter): Float32Array {
  return vector.subarray(offset, offset + size);
}

/** The L2 norm of a − b over some of a vector's tensors, in float64. */
export function distance(a: Float32Array, b: Float32Array, tensors: readonly PlacedParameter[]): number {
  let squares = 0;
  for (const { offset, size } of tensors) {
    for (let i = offset; i < offset + size; i++) squares += (a[i]! - b[i]!) ** 2;
  }
  return Math.sqrt(squares);
}

/** Sets the tensors of `into` to share · own + (1 − share) · global. A share of zero or one copies bit by bit. */
export function mix(
  into: Float32Array,
  tensors: readonly PlacedParameter[],
  { own, global, share }: { readonly own: Float32Array; readonly global: Float32Array; readonly share: number },
): void {
  for (const { offset, size } of tensors) {
    for (let i = offset; i < offset + size; i++) into[i] = share * own[i]! + (1 - share) * global[i]!;
  }
}

/** @throws ConsiliumError "internal" when a vector is of another model */
export function requireLength(vector: Float32Array, dimension: number, name: string): void {
  if (vector.length === dimension) return;
  throw new ConsiliumError("internal", `the ${name} has ${vector.length} values; the checkpoint has ${dimension}`);
}
