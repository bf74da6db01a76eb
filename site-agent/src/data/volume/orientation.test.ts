import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../test-folders.js";
import { put } from "../test-images.js";
import { toRas } from "./orientation.js";
import { readVolume } from "./read-volume.js";
import { madeNifti } from "./testing/made-volumes.js";
import type { Affine } from "./volume.js";

const folder = temporaryFolder();

interface Transform {
  readonly shape: readonly number[];
  readonly pixdim: readonly number[];
  readonly quaternion: readonly number[];
  readonly offset: readonly number[];
  readonly affine: readonly (readonly number[])[];
  readonly canonicalShape: readonly number[];
  readonly canonicalAffine: readonly (readonly number[])[];
  readonly canonicalOrder: readonly number[];
}

const { transforms } = JSON.parse(readFileSync(new URL("testing/reference-volumes.json", import.meta.url), "utf8")) as {
  transforms: readonly Transform[];
};

function expectAffine(found: Affine, expected: readonly (readonly number[])[]): void {
  for (const [row, values] of expected.entries()) {
    for (const [column, value] of values.entries()) expect(found[row]![column]).toBeCloseTo(value, 3);
  }
}

describe("toRas", () => {
  it("turns rotated, mirrored lattices as nibabel does", async () => {
    expect(transforms.length).toBeGreaterThan(30);
    for (const { shape, pixdim, quaternion, offset, ...expected } of transforms) {
      await put(folder(), "a.nii", madeNifti({ dims: shape, pixdim, qform: { quaternion, offset } }));
      const limits = { maxPixels: 1000, maxFileBytes: 10_000 };
      const volume = await readVolume(join(folder(), "a.nii"), { limits });
      expectAffine(volume.affine, expected.affine);
      const turned = toRas(volume);
      expect(turned.dims).toEqual(expected.canonicalShape);
      expectAffine(turned.affine, expected.canonicalAffine);
      expect([...turned.data]).toEqual(expected.canonicalOrder);
    }
  });

  it("leaves alone what lies as it should", async () => {
    await put(folder(), "a.nii", madeNifti());
    const volume = await readVolume(join(folder(), "a.nii"), { limits: { maxPixels: 1000, maxFileBytes: 10_000 } });
    expect(toRas(volume)).toBe(volume);
  });
});
