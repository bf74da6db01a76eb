import { AbortedError } from "@consilium/shared/errors.js";
import { type Random, randomFor } from "@consilium/shared/random.js";
import type { RgbImage } from "../image.js";
import { UnreadableImage } from "../source.js";
import type { ItemCell } from "./item-cells.js";
import type { ListedImages } from "./listed-images.js";
import type { CellExamples } from "./review-sheet.js";

interface Chosen {
  images: number;
  /** From the nearest on. */
  readonly nearest: ItemCell[];
  readonly random: string[];
}

/** Keeps so many of a cell's images, whatever their number: the nearest, and a fair sample (Vitter's algorithm R). */
function choose(chosen: Chosen, item: ItemCell, { count, random }: { count: number; random: Random }): void {
  const { nearest } = chosen;
  chosen.images++;
  if (nearest.length < count || item.distance < nearest.at(-1)!.distance) {
    const place = nearest.findIndex(({ distance }) => item.distance < distance);
    nearest.splice(place < 0 ? nearest.length : place, 0, item);
    nearest.length = Math.min(nearest.length, count);
  }
  const slot = chosen.random.length < count ? chosen.random.length : random.integer(chosen.images);
  if (slot < count) chosen.random[slot] = item.id;
}

export interface ExamplesRequest extends ListedImages {
  readonly cells: AsyncIterable<ItemCell>;
  readonly cellCount: number;
  /** Examples of each kind. */
  readonly count: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Reads examples of every cell. Images that are gone or cannot be read are not shown. */
export async function cellExamples(request: ExamplesRequest): Promise<CellExamples[]> {
  const { cells, cellCount, count, seed, onProgress } = request;
  const random = randomFor("examples", seed);
  const chosen = Array.from({ length: cellCount }, (): Chosen => ({ images: 0, nearest: [], random: [] }));
  for await (const item of cells) choose(chosen[item.cell]!, item, { count, random });
  const examples: CellExamples[] = [];
  for (const { images, nearest, random: drawn } of chosen) {
    const ids = nearest.map(({ id }) => id);
    examples.push({ images, nearest: await readAll(request, ids), random: await readAll(request, drawn) });
    onProgress?.(examples.length, cellCount);
  }
  return examples;
}

async function readAll({ source, items, signal }: ExamplesRequest, ids: readonly string[]): Promise<RgbImage[]> {
  const images: RgbImage[] = [];
  for (const id of ids) {
    if (signal?.aborted) throw new AbortedError();
    const stamp = items.stampOf(id);
    if (stamp === undefined) continue;
    try {
      images.push(await source.read({ id, stamp }));
    } catch (thrown) {
      if (!(thrown instanceof UnreadableImage)) throw thrown;
    }
  }
  return images;
}
