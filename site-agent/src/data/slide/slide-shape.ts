import { UnreadableImage } from "../source.js";
import type { SlideLevel } from "./slide.js";

/** Far above any scanner: a glass of 26 × 76 mm has 760,000 pixels along its side at 0.1 µm. */
const limits = { side: 2_000_000, pixels: 1e12, levels: 64 } as const;

/**
 * Levels as a file claims them, checked before anything is computed from them.
 * @throws UnreadableImage "damaged" or "too-many-pixels"
 */
export function checkedLevels(id: string, levels: readonly SlideLevel[]): readonly SlideLevel[] {
  if (levels.length === 0 || levels.length > limits.levels) {
    throw new UnreadableImage(id, "damaged", { detail: `${levels.length} levels` });
  }
  for (const { width, height, downsample } of levels) {
    if (!(width >= 1 && height >= 1 && Number.isFinite(downsample) && downsample >= 1)) {
      throw new UnreadableImage(id, "damaged", { detail: "a level without pixels" });
    }
    if (width > limits.side || height > limits.side || width * height > limits.pixels) {
      throw new UnreadableImage(id, "too-many-pixels", { detail: `a level of ${width}×${height}` });
    }
  }
  return levels;
}

/** The coarsest level that is no coarser than wanted, so that a region is only ever shrunk; 1 % is no difference. */
export function bestLevel(levels: readonly SlideLevel[], downsample: number): number {
  let best = 0;
  for (const [index, level] of levels.entries()) {
    if (level.downsample <= downsample * 1.01 && level.downsample > levels[best]!.downsample) best = index;
  }
  return best;
}
