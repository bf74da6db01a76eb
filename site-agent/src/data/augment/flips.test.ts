import { describe, expect, it } from "vitest";
import { type Orientation, placementOf, upright } from "./flips.js";

/** The pixels 1, 2, 3 … of an upright square image, row by row, as they stand in another orientation. */
function oriented(orientation: Orientation, size: number): number[] {
  const { origin, right, down } = placementOf(orientation, size);
  const out = new Array<number>(size * size).fill(0);
  for (let at = 0; at < size * size; at++) {
    out[(origin + Math.floor(at / size) * down + (at % size) * right) / 3] = at + 1;
  }
  return out;
}

describe("placementOf", () => {
  it.each([
    [upright, [1, 2, 3, 4]],
    [{ ...upright, mirrored: true }, [2, 1, 4, 3]],
    [{ ...upright, flipped: true }, [3, 4, 1, 2]],
    [{ ...upright, quarterTurns: 1 }, [2, 4, 1, 3]],
    [{ ...upright, quarterTurns: 2 }, [4, 3, 2, 1]],
    [{ ...upright, quarterTurns: 3 }, [3, 1, 4, 2]],
    [{ mirrored: true, flipped: false, quarterTurns: 1 }, [1, 3, 2, 4]],
    [{ mirrored: true, flipped: true, quarterTurns: 2 }, [1, 2, 3, 4]],
  ])("%j", (orientation, expected) => {
    expect(oriented(orientation, 2)).toEqual(expected);
  });

  it("turns a larger image counter-clockwise, pixel by pixel", () => {
    expect(oriented({ ...upright, quarterTurns: 1 }, 3)).toEqual([3, 6, 9, 2, 5, 8, 1, 4, 7]);
  });
});
