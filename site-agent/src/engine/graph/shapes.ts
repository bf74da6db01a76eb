import type { Shape } from "./graph.js";

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** The shape to which shapes broadcast, aligned at their last axes as in NumPy. They must be compatible. */
export function broadcastShape(shapes: readonly Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const extents = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return extents.find((extent) => extent !== 1) ?? 1;
  });
}

/** The shape after reduction over axes; a kept axis has extent one. */
export function reducedShape(shape: Shape, axes: readonly number[], keepAxes: boolean): number[] {
  return shape.flatMap((extent, axis) => (axes.includes(axis) ? (keepAxes ? [1] : []) : [extent]));
}

export function positiveAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
