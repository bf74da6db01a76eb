import { describe, expect, it } from "vitest";
import type { FrameFacts } from "../dicom/frame-facts.js";
import type { ImageHeader } from "../dicom/header.js";
import { identity } from "../dicom/lookup-table.js";
import { FrameMap } from "./dicom-tiles.js";

interface Shape {
  readonly frames: number;
  readonly matrix?: { columns: number; rows: number };
  readonly tiledFull?: boolean;
  readonly tiles?: readonly { x: number; y: number }[];
}

/** Frames of 100 × 50 pixels. */
function mapOf({ frames, matrix, tiledFull = false, tiles }: Shape): FrameMap {
  const facts = (tile: FrameFacts["tile"]): FrameFacts => ({ geometry: {}, modality: identity, voi: undefined, tile });
  const pixels = { columns: 100, rows: 50, frames } as ImageHeader["pixels"];
  const image = { pixels, matrix, tiledFull, frames: tiles?.map(facts) ?? [facts(undefined)] };
  return new FrameMap(Object.assign({} as ImageHeader, image));
}

const numbers = (map: FrameMap, ...rectangle: [number, number, number, number]): number[] =>
  map
    .within(...rectangle)
    .map(({ frame }) => frame)
    .sort((a, b) => a - b);

describe("FrameMap", () => {
  it("lays frames row by row where they do not say their places", () => {
    const map = mapOf({ frames: 6, matrix: { columns: 250, rows: 90 }, tiledFull: true });
    expect(map.within(0, 0, 250, 90)).toEqual([
      ...[
        { frame: 0, x: 0, y: 0 },
        { frame: 1, x: 100, y: 0 },
        { frame: 2, x: 200, y: 0 },
      ],
      ...[
        { frame: 3, x: 0, y: 50 },
        { frame: 4, x: 100, y: 50 },
        { frame: 5, x: 200, y: 50 },
      ],
    ]);
    expect(numbers(map, 99, 49, 101, 51)).toEqual([0, 1, 3, 4]);
    expect(numbers(map, 100, 0, 200, 50)).toEqual([1]);
  });

  it("takes the first focal plane", () => {
    const map = mapOf({ frames: 4, matrix: { columns: 200, rows: 50 }, tiledFull: true });
    expect(numbers(map, 0, 0, 200, 50)).toEqual([0, 1]);
  });

  it("takes the places that frames say, in any order, with gaps, and the first of several in one place", () => {
    const tiles = [
      { x: 100, y: 0 },
      { x: 0, y: 50 },
      { x: 100, y: 0 },
      { x: 130, y: 70 },
    ];
    const map = mapOf({ frames: 4, matrix: { columns: 300, rows: 200 }, tiles });
    expect(numbers(map, 0, 0, 300, 200)).toEqual([0, 1, 3]);
    expect(numbers(map, 0, 0, 100, 50)).toEqual([]);
    expect(numbers(map, 229, 119, 300, 200)).toEqual([3]);
    expect(numbers(map, 230, 119, 300, 200)).toEqual([]);
  });

  it("takes a single frame without a matrix for the whole", () => {
    expect(mapOf({ frames: 1 }).within(0, 0, 100, 50)).toEqual([{ frame: 0, x: 0, y: 0 }]);
  });
});
