import { type GridResize, resizeRows } from "../resize-grid.js";
import type { FoundTensor } from "./find-weights.js";

/** Learned positions of a file: a square grid of patches, with a row for the class token before it or without. */
export interface PositionGrid {
  readonly width: number;
  /** Patches along one side. */
  readonly side: number;
  readonly hasClassRow: boolean;
}

/** @returns undefined where [1, rows, width] has no square number of patches */
export function positionGrid(shape: readonly number[]): PositionGrid | undefined {
  const [one, rows = 0, width = 0] = shape;
  if (shape.length !== 3 || one !== 1) return undefined;
  const side = Math.sqrt(rows);
  if (Number.isInteger(side) && side > 1) return { width, side, hasClassRow: false };
  const inner = Math.sqrt(rows - 1);
  return Number.isInteger(inner) && inner > 0 ? { width, side: inner, hasClassRow: true } : undefined;
}

export type ResizeRule = Pick<GridResize, "offset" | "antialias">;

/**
 * How a family resizes its positions: DINOv2's models with registers to the exact size with smoothing, the others by a
 * scale factor with 0.1 added (Caron et al. 2021, Oquab et al. 2023, Darcet et al. 2024).
 */
export function resizeRule(hasRegisters: boolean): ResizeRule {
  return hasRegisters ? { antialias: true } : { offset: 0.1 };
}

/**
 * Positions [1, 1 + to², width] from those of a file. Where the file has no row for the class token, as timm's models
 * with registers, whose class token has its position added, that row is zero.
 */
export async function fitPositions(
  positions: FoundTensor,
  { width, side, hasClassRow }: PositionGrid,
  { to, rule }: { readonly to: number; readonly rule: ResizeRule },
): Promise<Float32Array> {
  const values = await positions.read();
  const grid = hasClassRow ? values.subarray(width) : values;
  const fitted = new Float32Array((1 + to * to) * width);
  if (hasClassRow) fitted.set(values.subarray(0, width));
  fitted.set(side === to ? grid : resizeRows(grid, width, { from: side, to, ...rule }), width);
  return fitted;
}
