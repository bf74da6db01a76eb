import type { RgbImage } from "../image.js";

/** Hashes that are alike for images that look alike: the same photo in another size, format or quality. */

const cells = 8;
/** Bytes: 64 bits of differences along rows, 64 along columns. */
export const hashBytes = 16;

/**
 * Difference hash: whether brightness rises from one cell to the next, on 9 × 8 and 8 × 9 means of brightness.
 * @returns 16 bytes
 */
export function perceptualHash(image: RgbImage): Uint8Array {
  const hash = new Uint8Array(hashBytes);
  const rows = cellMeans(image, cells + 1, cells);
  const columns = cellMeans(image, cells, cells + 1);
  for (let y = 0; y < cells; y++) {
    for (let x = 0; x < cells; x++) {
      const bit = y * cells + x;
      const across = rows[y * (cells + 1) + x]! < rows[y * (cells + 1) + x + 1]!;
      const down = columns[bit]! < columns[bit + cells]!;
      if (across) hash[bit >> 3]! |= 1 << (bit & 7);
      if (down) hash[8 + (bit >> 3)]! |= 1 << (bit & 7);
    }
  }
  return hash;
}

/** Mean brightness of each cell of a grid that covers the image; images smaller than the grid repeat pixels. */
function cellMeans({ width, height, data }: RgbImage, across: number, down: number): Float64Array {
  const means = new Float64Array(across * down);
  for (let row = 0; row < down; row++) {
    const [top, bottom] = span(row, down, height);
    for (let column = 0; column < across; column++) {
      const [left, right] = span(column, across, width);
      let sum = 0;
      for (let y = top; y < bottom; y++) {
        for (let at = 3 * (y * width + left); at < 3 * (y * width + right); at += 3) {
          sum += 299 * data[at]! + 587 * data[at + 1]! + 114 * data[at + 2]!;
        }
      }
      means[row * across + column] = sum / ((bottom - top) * (right - left));
    }
  }
  return means;
}

function span(cell: number, of: number, extent: number): [number, number] {
  const from = Math.floor((cell * extent) / of);
  return [from, Math.max(from + 1, Math.floor(((cell + 1) * extent) / of))];
}

/** Number of bits in which two hashes differ. */
export function hashDistance(a: Uint8Array, b: Uint8Array): number {
  let distance = 0;
  for (let index = 0; index < hashBytes; index++) distance += bitCounts[a[index]! ^ b[index]!]!;
  return distance;
}

const bitCounts = Uint8Array.from({ length: 256 }, (_, value) => {
  let count = 0;
  for (let rest = value; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});

/** Bits in which copies of one image differ at most: hashes this near share one of eight 16-bit bands. */
export const nearDistance = 5;

/** Hashes that share a band are compared with so many others at most, so that a million black slices end. */
const comparedAtMost = 64;

/**
 * Groups of images that look alike, transitively, each of at least two; in the order of their first members.
 * @param hashes 16 bytes each, one after the other
 * @returns indices, ascending inside a group
 */
export function nearDuplicates(hashes: Uint8Array): number[][] {
  const count = hashes.length / hashBytes;
  const parents = Int32Array.from({ length: count }, (_, index) => index);
  const rootOf = (index: number): number => {
    let root = index;
    while (parents[root] !== root) root = parents[root]!;
    for (let at = index; at !== root; ) [at, parents[at]] = [parents[at]!, root];
    return root;
  };
  const hashOf = (index: number) => hashes.subarray(index * hashBytes, (index + 1) * hashBytes);
  for (let band = 0; band < hashBytes; band += 2) {
    const order = inOrderOfBand(hashes, band);
    for (let at = 1; at < count; at++) {
      const own = order[at]!;
      for (let back = 1; back <= Math.min(at, comparedAtMost); back++) {
        const other = order[at - back]!;
        if (bandOf(hashes, own, band) !== bandOf(hashes, other, band)) break;
        if (hashDistance(hashOf(own), hashOf(other)) > nearDistance) continue;
        const [low, high] = [rootOf(own), rootOf(other)].sort((a, b) => a - b) as [number, number];
        parents[high] = low;
        break;
      }
    }
  }
  return groupsOf(parents, rootOf);
}

const bandOf = (hashes: Uint8Array, index: number, band: number): number =>
  (hashes[index * hashBytes + band]! << 8) | hashes[index * hashBytes + band + 1]!;

/** Equal hashes lie side by side, so that many copies of one image are joined in a chain. */
function inOrderOfBand(hashes: Uint8Array, band: number): Uint32Array {
  const order = Uint32Array.from({ length: hashes.length / hashBytes }, (_, index) => index);
  const { buffer, byteOffset, byteLength } = hashes;
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  return order.sort((a, b) => {
    const difference = bandOf(hashes, a, band) - bandOf(hashes, b, band);
    if (difference !== 0) return difference;
    const [ownA, ownB] = [a * hashBytes, b * hashBytes];
    return bytes.compare(bytes, ownB, ownB + hashBytes, ownA, ownA + hashBytes) || a - b;
  });
}

function groupsOf(parents: Int32Array, rootOf: (index: number) => number): number[][] {
  const groups = new Map<number, number[]>();
  for (let index = 0; index < parents.length; index++) {
    const root = rootOf(index);
    if (root === index && !groups.has(root)) continue;
    const group = groups.get(root) ?? [root];
    if (index !== root) group.push(index);
    groups.set(root, group);
  }
  return [...groups.values()].sort((a, b) => a[0]! - b[0]!);
}
