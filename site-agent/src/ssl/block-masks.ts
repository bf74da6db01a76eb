import { permutation, type Random } from "@consilium/shared/random.js";

/** Rectangles of hidden patches (Bao et al. 2022, Zhou et al. 2022, Oquab et al. 2023). */

export interface BlockRule {
  /** Patches along a side. */
  readonly grid: number;
  /** Smallest area of a block that is drawn, in patches. */
  readonly leastArea: number;
  /** Largest; absent: whatever is left of the budget. */
  readonly mostArea?: number;
}

const tries = 10;
const [narrowest, widest] = [0.3, 1 / 0.3];

/** iBOT's blocks: at least a third of the grid's side squared. */
export function ibotBlocks(grid: number): BlockRule {
  return { grid, leastArea: Math.floor(grid / 3) ** 2 };
}

/** DINOv2's blocks: between 4 patches and half of the grid. */
export function dinov2Blocks(grid: number): BlockRule {
  return { grid, leastArea: 4, mostArea: Math.floor(0.5 * grid * grid) };
}

/**
 * Hides at most `budget` patches in rectangles: 1 where hidden, [grid²]. A rectangle counts when it is smaller than the
 * grid in both directions and hides something new within the budget; ten draws without one end the mask.
 */
export function drawBlockMask(budget: number, rule: BlockRule, random: Random): Uint8Array {
  const mask = new Uint8Array(rule.grid ** 2);
  for (let hidden = 0; hidden < budget; ) {
    const added = addBlock(mask, budget - hidden, rule, random);
    if (added === 0) break;
    hidden += added;
  }
  return mask;
}

/** @returns how many patches the new rectangle hides; 0 when no draw fits */
function addBlock(mask: Uint8Array, left: number, { grid, leastArea, mostArea }: BlockRule, random: Random): number {
  const most = Math.min(left, mostArea ?? left);
  for (let draw = 0; draw < tries; draw++) {
    const area = leastArea + (most - leastArea) * random.uniform();
    const aspect = narrowest * (widest / narrowest) ** random.uniform();
    const [height, width] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))];
    if (!(width < grid && height < grid)) continue;
    const top = random.integer(grid - height + 1);
    const first = random.integer(grid - width + 1);
    const places = rectangle({ top, first, height, width }, grid);
    const fresh = places.filter((place) => mask[place] === 0);
    if (fresh.length === 0 || fresh.length > most) continue;
    for (const place of fresh) mask[place] = 1;
    return fresh.length;
  }
  return 0;
}

interface Rectangle {
  readonly top: number;
  readonly first: number;
  readonly height: number;
  readonly width: number;
}

function rectangle({ top, first, height, width }: Rectangle, grid: number): number[] {
  return Array.from({ length: height * width }, (_, index) => {
    return (top + Math.floor(index / width)) * grid + first + (index % width);
  });
}

/** Hides exactly `budget` patches, each drawn by itself: 1 where hidden, [grid²]. */
export function drawRandomMask(budget: number, grid: number, random: Random): Uint8Array {
  const mask = new Uint8Array(grid ** 2);
  for (const place of permutation(grid ** 2, random).slice(0, budget)) mask[place] = 1;
  return mask;
}
