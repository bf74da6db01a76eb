import { describe, expect, it } from "vitest";
import { type GridResize, resizeMatrix, resizeRows } from "./resize-grid.js";

const sines = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(0.7 * i + 1));

/** PyTorch 2.13, interpolate(mode="bicubic") in float64 on sin(0.7 i + 1) as [from, from, 2]. */
const golden: readonly [string, GridResize, readonly number[]][] = [
  [
    "smaller, by a scale factor",
    { from: 4, to: 3, offset: 0.1 },
    [
      0.793709045, 0.888767751, 0.199643402, -0.469077224, -0.861403603, -0.605412771, 0.142785228, 0.708566783,
      0.920977176, 0.416429654, -0.613903488, -0.892517106, -0.620673267, -0.053540204, 0.878615341, 0.952321634,
      0.137058281, -0.442693681,
    ],
  ],
  [
    "larger, by a scale factor",
    { from: 2, to: 3, offset: 0.1 },
    [
      0.986414636, 1.267102382, 0.899750197, 0.663513102, 0.805394277, 0.006355187, 0.186879301, 0.099167167,
      0.067835631, -0.027962945, -0.061773181, -0.166375872, -0.68361491, -1.172422468, -0.837911472, -0.780807591,
      -1.005901876, -0.354436837,
    ],
  ],
  [
    "smaller, to a size",
    { from: 3, to: 2 },
    [0.498053111, 0.630143519, -0.003633861, -0.409041038, -0.370449662, -0.612121365, -0.172333163, 0.258997392],
  ],
  [
    "smaller, smoothed",
    { from: 4, to: 2, antialias: true },
    [0.636620185, 0.533040131, -0.448672685, -0.637751437, 0.147891748, 0.514673852, 0.278622652, -0.158528771],
  ],
  [
    "larger, smoothed",
    { from: 2, to: 3, antialias: true },
    [
      0.947549277, 1.190447617, 0.857554146, 0.595065245, 0.767559014, -0.000317127, 0.129201434, 0.018463093,
      0.005405405, -0.079540327, -0.118390625, -0.177543748, -0.689146409, -1.153521431, -0.846743336, -0.7541459,
      -1.004340264, -0.354770368,
    ],
  ],
];

describe("resizeRows", () => {
  it.each(golden)("agrees with torch: %s", (_, resize, expected) => {
    const resized = resizeRows(sines(resize.from ** 2 * 2), 2, resize);
    expect(resized).toHaveLength(expected.length);
    for (const [index, value] of expected.entries()) expect(resized[index]).toBeCloseTo(value, 6);
  });

  it.each(golden)("is the matrix's product with every column: %s", (_, resize) => {
    const rows = sines(resize.from ** 2 * 3);
    const matrix = resizeMatrix(resize);
    const resized = resizeRows(rows, 3, resize);
    const samples = resize.from ** 2;
    for (const [index, value] of resized.entries()) {
      const [row, column] = [Math.floor(index / 3), index % 3];
      let sum = 0;
      for (let sample = 0; sample < samples; sample++)
        sum += matrix[row * samples + sample]! * rows[3 * sample + column]!;
      expect(value).toBeCloseTo(sum, 5);
    }
  });

  it("leaves a grid of the same size as it is, but for a scale factor's offset", () => {
    const rows = sines(18);
    expect(Array.from(resizeRows(rows, 2, { from: 3, to: 3 }))).toEqual(Array.from(rows));
    expect(Array.from(resizeRows(rows, 2, { from: 3, to: 3, antialias: true }))).toEqual(Array.from(rows));
    expect(Array.from(resizeRows(rows, 2, { from: 3, to: 3, offset: 0.1 }))).not.toEqual(Array.from(rows));
  });
});
