import { createHash } from "node:crypto";

/** How a parameter gets its first value. Drawn from a seeded generator, in layout order. */
export type Initializer =
  | { readonly kind: "zeros" }
  | { readonly kind: "ones" }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "normal"; readonly std: number }
  /** Normal cut at two standard deviations. */
  | { readonly kind: "truncated-normal"; readonly std: number }
  /** Between minus the limit and the limit. */
  | { readonly kind: "uniform"; readonly limit: number }
  /** Glorot and Bengio 2010, over the tensor seen as [first dimension, rest]. */
  | { readonly kind: "xavier-uniform" };

/** A named tensor of the aggregated vector. Names follow timm's ViT checkpoints where those have the tensor. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  /** The tensor whose first values this one has too; its initialiser and size are the same. */
  readonly beginsAs?: string;
}

export interface PlacedParameter extends ParameterSpec {
  /** Position of the first element in the flat vector. */
  readonly offset: number;
  readonly size: number;
}

/** The order of tensors in the flat vector that is trained, masked, summed and stored. */
export interface ParameterLayout {
  readonly parameters: readonly PlacedParameter[];
  /** Number of scalars in the flat vector. */
  readonly dimension: number;
  /** SHA-256 over names and shapes in order. */
  readonly digest: Uint8Array;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

export function placeParameters(specs: readonly ParameterSpec[]): ParameterLayout {
  let offset = 0;
  const hash = createHash("sha256").update("consilium/layout\0");
  const parameters = specs.map((spec) => {
    const size = sizeOf(spec.shape);
    const placed = { ...spec, offset, size };
    offset += size;
    hash.update(JSON.stringify([spec.name, spec.shape]));
    return placed;
  });
  return { parameters, dimension: offset, digest: new Uint8Array(hash.digest()) };
}
