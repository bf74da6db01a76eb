import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { toRas } from "./orientation.js";
import { readVolume } from "./read-volume.js";
import type { Lattice, Volume } from "./volume.js";
import { percentiles } from "./window.js";

/** Against what nibabel and numpy say of the same files (testing/reference_volumes.py). */

interface Probes {
  readonly shape: readonly number[];
  readonly values: readonly (readonly [place: readonly [number, number, number], value: number])[];
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly percentiles: readonly [number, number];
}

interface Reference {
  readonly affine: readonly (readonly number[])[];
  readonly stored: Probes;
  readonly canonicalAffine: readonly (readonly number[])[];
  readonly canonical: Probes;
}

const images = fileURLToPath(new URL("../../../../../shared/data/volumes", import.meta.url));
const { files } = JSON.parse(readFileSync(new URL("testing/reference-volumes.json", import.meta.url), "utf8")) as {
  files: Readonly<Record<string, Reference>>;
};

function expectAffine(found: Lattice<Float32Array>["affine"], expected: Reference["affine"]): void {
  for (const [row, values] of expected.entries()) {
    for (const [column, value] of values.entries()) expect(found[row]![column]).toBeCloseTo(value, 4);
  }
}

function expectProbes({ data, dims }: Volume, { shape, values, sum, min, max }: Probes): void {
  expect(dims).toEqual(shape);
  for (const [[x, y, z], value] of values) {
    expect(data[x + dims[0] * (y + dims[1] * z)]).toBeCloseTo(value, 3);
  }
  let [total, low, high] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of data) {
    total += value;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  expect(Math.abs(total - sum)).toBeLessThanOrEqual(1e-6 * Math.abs(sum));
  expect([low, high]).toEqual([Math.fround(min), Math.fround(max)]);
}

describe.skipIf(!existsSync(images))(
  "real volumes (skipped where the folder shared/data is not beside the repository)",
  () => {
    it.each(Object.entries(files))(
      "%s has the values and the orientation of the reference",
      async (name, reference) => {
        const limits = { maxPixels: 100_000_000, maxFileBytes: 1_000_000_000 };
        const volume = await readVolume(join(images, name), { limits });
        expectAffine(volume.affine, reference.affine);
        expectProbes(volume, reference.stored);
        const turned = toRas(volume);
        expectAffine(turned.affine, reference.canonicalAffine);
        expectProbes(turned, reference.canonical);
        const { percentiles: expected, min, max } = reference.stored;
        for (const [index, value] of percentiles(volume, 0.01, 0.99).entries()) {
          expect(Math.abs(value - expected[index]!)).toBeLessThanOrEqual(0.01 * (max - min));
        }
      },
    );
  },
);
