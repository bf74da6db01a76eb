import { describe, expect, it } from "vitest";
import { orient } from "./flips.js";

/** One value per pixel of a 2 × 2 image, as three equal channels. */
const image = (...values: number[]) => Float32Array.from(values.flatMap((value) => [value, value + 10, value + 20]));
const upright = { mirrored: false, flipped: false, quarterTurns: 0 };

describe("orient", () => {
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
    expect(orient(image(1, 2, 3, 4), orientation)).toEqual(image(...expected));
  });
});
