import { describe, expect, it } from "vitest";
import { foregroundShares, type Plane, sliceCount, sliceOf } from "./slice.js";
import type { Volume } from "./volume.js";
import { type GreyVolume, windowed, windowOf } from "./window.js";

/** 3×4×5 voxels whose value says where they are: x + 10 y + 50 z. */
function placed(spacing: GreyVolume["spacing"] = [1, 1, 1]): GreyVolume {
  const dims = [3, 4, 5] as const;
  const data = new Uint8Array(60);
  for (let i = 0; i < 60; i++) data[i] = (i % 3) + 10 * (Math.floor(i / 3) % 4) + 50 * Math.floor(i / 12);
  return {
    data,
    dims,
    spacing,
    affine: [
      [spacing[0], 0, 0, 0],
      [0, spacing[1], 0, 0],
      [0, 0, spacing[2], 0],
    ],
  };
}

const corners = (plane: Plane, index: number): number[] => {
  const { data, width, height } = sliceOf(placed(), { plane, index });
  return [data[0]!, data[3 * (width - 1)]!, data[3 * width * (height - 1)]!, data[3 * (width * height - 1)]!];
};

describe("sliceOf", () => {
  it("shows the patient's right on the left, the front or the head at the top", () => {
    // Top left, top right, bottom left, bottom right.
    expect(corners("axial", 2)).toEqual([132, 130, 102, 100]);
    expect(corners("coronal", 1)).toEqual([212, 210, 12, 10]);
    expect(corners("sagittal", 1)).toEqual([231, 201, 31, 1]);
    expect(corners("acquired", 2)).toEqual([100, 102, 130, 132]);
  });

  it("has as many slices as the axis across the plane has voxels", () => {
    const planes = ["axial", "coronal", "sagittal", "acquired"] as const;
    expect(planes.map((plane) => sliceCount(placed(), plane))).toEqual([5, 4, 3, 5]);
  });

  it("makes pixels square, with the finer spacing", () => {
    const slice = sliceOf(placed([1, 1, 2.5]), { plane: "coronal", index: 0 });
    expect(slice).toMatchObject({ width: 3, height: 13 });
    expect(slice.spacing!.x).toBe(1);
    expect(slice.spacing!.y).toBeCloseTo(12.5 / 13);
  });

  it("reduces to the working size and never enlarges", () => {
    expect(sliceOf(placed([4, 2, 1]), { plane: "axial", index: 0, workingSize: 100 })).toMatchObject({
      width: 6,
      height: 4,
    });
    const small = sliceOf(placed([4, 2, 1]), { plane: "axial", index: 0, workingSize: 2 });
    expect(small).toMatchObject({ width: 3, height: 2, spacing: { x: 4, y: 4 } });
  });

  it("averages what it reduces and interpolates what it enlarges", () => {
    const data = new Uint8Array(16 * 16).map((_, index) => (index % 2 === 0 ? 0 : 200));
    const stripes: GreyVolume = { ...placed(), data, dims: [16, 16, 1] };
    const reduced = sliceOf(stripes, { plane: "acquired", index: 0, workingSize: 8 });
    expect(reduced.data[3 * (4 * 8 + 4)]).toBe(100);
    const wide = sliceOf({ ...stripes, spacing: [2, 1, 1] }, { plane: "acquired", index: 0 });
    expect([4, 5, 6, 7].map((x) => wide.data[3 * x])).toEqual([50, 50, 150, 150]);
  });
});

describe("foregroundShares", () => {
  it("counts what is brighter than black in each slice", () => {
    const volume = placed();
    volume.data.fill(0, 0, 12).fill(0, 12, 18);
    expect(foregroundShares(volume, "axial")).toEqual([0, 0.5, 1, 1, 1]);
    expect(foregroundShares(volume, "sagittal").map((share) => Math.round(share * 100))).toEqual([70, 70, 70]);
  });
});

describe("windowOf", () => {
  const volume = (values: readonly number[], window?: readonly [number, number]): Volume => ({
    ...{ format: "nifti", integers: true, spacing: [1, 1, 1], affine: placed().affine },
    data: Float32Array.from(values),
    dims: [values.length, 1, 1],
    ...(window === undefined ? {} : { window }),
  });
  const ramp = Array.from({ length: 1001 }, (_, index) => index);

  it("prefers the settings, then the file, then the 1st to 99th percentile, then all", () => {
    expect(windowOf(volume(ramp, [1, 2]), [3, 4])).toEqual([3, 4]);
    expect(windowOf(volume(ramp, [1, 2]), undefined)).toEqual([1, 2]);
    expect(windowOf(volume(ramp), undefined)).toEqual([10, 990]);
    expect(windowOf(volume([...new Array<number>(999).fill(0), 7]), undefined)).toEqual([0, 7]);
  });

  it("passes over what is no number and shows it black", () => {
    const odd = volume([Number.NaN, Number.POSITIVE_INFINITY, 0, 60, 100, Number.NEGATIVE_INFINITY]);
    const window = windowOf(odd, [0, 100]);
    expect([...windowed(odd, window).data]).toEqual([0, 255, 0, 153, 255, 0]);
    expect(windowOf(volume([Number.NaN, 1, 2]), undefined)[0]).toBeCloseTo(1.01);
  });

  it("finds no contrast in a constant volume", () => {
    expect(() => windowOf(volume([5, 5, 5]), undefined)).toThrow(/same value/);
    expect(() => windowOf(volume([Number.NaN]), undefined)).toThrow(/same value/);
  });
});
