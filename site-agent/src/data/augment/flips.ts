export interface Orientation {
  /** Left and right change places, before the turn. */
  readonly mirrored: boolean;
  /** Top and bottom change places, before the turn. */
  readonly flipped: boolean;
  /** Turns by 90 degrees counter-clockwise, 0 … 3. */
  readonly quarterTurns: number;
}

/** Where the first pixel of the result lies in the source, and how far apart its neighbours lie, in values. */
interface Walk {
  readonly origin: number;
  readonly right: number;
  readonly down: number;
}

/** The walk over the source after one more turn of the result. */
function turned({ origin, right, down }: Walk, size: number): Walk {
  return { origin: origin + (size - 1) * right, right: down, down: -right };
}

function walkOf({ mirrored, flipped, quarterTurns }: Orientation, size: number): Walk {
  const line = size * 3;
  let walk: Walk = {
    origin: (mirrored ? line - 3 : 0) + (flipped ? (size - 1) * line : 0),
    right: mirrored ? -3 : 3,
    down: flipped ? -line : line,
  };
  for (let turn = 0; turn < quarterTurns; turn++) walk = turned(walk, size);
  return walk;
}

/** A square image [size, size, 3] in another orientation. */
export function orient(pixels: Float32Array, orientation: Orientation): Float32Array {
  const size = Math.round(Math.sqrt(pixels.length / 3));
  const { origin, right, down } = walkOf(orientation, size);
  const out = new Float32Array(pixels.length);
  let to = 0;
  for (let row = 0; row < size; row++) {
    let from = origin + row * down;
    for (let column = 0; column < size; column++) {
      out[to] = pixels[from]!;
      out[to + 1] = pixels[from + 1]!;
      out[to + 2] = pixels[from + 2]!;
      to += 3;
      from += right;
    }
  }
  return out;
}
