export interface Orientation {
  /** Left and right change places, before the turn. */
  readonly mirrored: boolean;
  /** Top and bottom change places, before the turn. */
  readonly flipped: boolean;
  /** Turns by 90 degrees counter-clockwise, 0 … 3. */
  readonly quarterTurns: number;
}

export const upright: Orientation = { mirrored: false, flipped: false, quarterTurns: 0 };

/** Where the first pixel of an upright image goes, and how far from it its neighbours go, in values. */
export interface Placement {
  readonly origin: number;
  readonly right: number;
  readonly down: number;
}

/** A place, or the way between two, in pixels. */
type Vector = readonly [down: number, right: number];

/**
 * How the pixels of an upright image [size, size, 3] have to be placed so that it stands in an orientation. Whoever
 * writes an image anyway turns it at no cost.
 */
export function placementOf({ mirrored, flipped, quarterTurns }: Orientation, size: number): Placement {
  let origin: Vector = [flipped ? size - 1 : 0, mirrored ? size - 1 : 0];
  let right: Vector = [0, mirrored ? -1 : 1];
  let down: Vector = [flipped ? -1 : 1, 0];
  for (let turn = 0; turn < quarterTurns; turn++) {
    origin = [size - 1 - origin[1], origin[0]];
    right = [-right[1], right[0]];
    down = [-down[1], down[0]];
  }
  const values = ([rows, columns]: Vector): number => 3 * (rows * size + columns);
  return { origin: values(origin), right: values(right), down: values(down) };
}
