import { createHash } from "node:crypto";

/** Merkle trees of RFC 9162, section 2.1, with SHA-256: one root stands for a list, a short path for one of its members. */

const leafPrefix = Buffer.of(0);
const nodePrefix = Buffer.of(1);

export function leafHash(data: Uint8Array): Buffer {
  return createHash("sha256").update(leafPrefix).update(data).digest();
}

function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash("sha256").update(nodePrefix).update(left).update(right).digest();
}

/** The largest power of two below `count`. */
function leftCount(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}

export interface MerkleTree {
  readonly root: Uint8Array;
  /** For each leaf the siblings on its way up, lowest first. */
  readonly paths: readonly (readonly Uint8Array[])[];
}

/** The tree over at least one leaf hash. */
export function merkleTree(leaves: readonly Uint8Array[]): MerkleTree {
  if (leaves.length <= 1) return { root: leaves[0] ?? createHash("sha256").digest(), paths: leaves.map(() => []) };
  const middle = leftCount(leaves.length);
  const left = merkleTree(leaves.slice(0, middle));
  const right = merkleTree(leaves.slice(middle));
  const paths = [
    ...left.paths.map((path) => [...path, right.root]),
    ...right.paths.map((path) => [...path, left.root]),
  ];
  return { root: nodeHash(left.root, right.root), paths };
}

/** The root that a leaf hash at `index` of `count` leads to along its path; undefined when the path cannot be one. */
export function rootAlong(
  leaf: Uint8Array,
  { index, count }: { readonly index: number; readonly count: number },
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (index < 0 || index >= count) return undefined;
  if (count === 1) return path.length === 0 ? leaf : undefined;
  const sibling = path.at(-1);
  if (sibling === undefined) return undefined;
  const middle = leftCount(count);
  const below = path.slice(0, -1);
  if (index < middle) {
    const left = rootAlong(leaf, { index, count: middle }, below);
    return left && nodeHash(left, sibling);
  }
  const right = rootAlong(leaf, { index: index - middle, count: count - middle }, below);
  return right && nodeHash(sibling, right);
}
