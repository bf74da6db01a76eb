import { describe, expect, it } from "vitest";
import { expectClose, wave } from "../../../test/support/golden.js";
import { corruptionCodes } from "../data/augment/corruption.js";
import { corrupted, corruptionMap } from "../data/view-plan.js";
import { channelDeviation, channelMean } from "../model/pixel-scale.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { corruptedBatch, corruptedViews } from "./corruption.js";

const [images, size] = [3, 2];
const { clean, copied, noise, alien, zero } = corruptionCodes;
const bytes = Float32Array.from({ length: images * size * size * 3 }, (_, index) => (index * 29) % 256);

/** Both views with the same bytes and map, but clean pixels of their own. */
function batchOf(map: readonly number[]): NamedTensors {
  const entries = corruptedViews.flatMap((view, index): [string, Tensor][] => [
    [view, wave([images, size, size, 3], index)],
    [corrupted(view), tf.tensor4d(bytes, [images, size, size, 3])],
    [corruptionMap(view), tf.tensor4d([...map], [images, size, size, 1])],
  ]);
  return Object.fromEntries(entries);
}

/** Codes of four pixels for each of three images. */
const map = [clean, copied, noise, alien, zero, alien, clean, noise, alien, zero, copied, clean];
const batch = batchOf(map);
const at = (tensor: Tensor, row: number, pixel: number) => [
  ...tf.slice(tf.reshape(tensor, [-1, size * size, 3]), [row, pixel, 0], [1, 1, 3]).dataSync(),
];

describe("corruptedBatch", () => {
  const { clean: untouched, corrupted: seen, mask } = corruptedBatch(batch);

  it("stacks the views and marks every code but clean", () => {
    expect(untouched.shape).toEqual([2 * images, size, size, 3]);
    expect(seen.shape).toEqual([2 * images, size, size, 3]);
    const marks = map.map((code) => Math.min(1, code));
    expectClose(mask, [...marks, ...marks], 0);
    expectClose(untouched, tf.concat(corruptedViews.map((view) => batch[view]!)).dataSync(), 0);
  });

  it("reads each pixel by its code", () => {
    for (const [index, code] of [...map, ...map].entries()) {
      const [row, pixel] = [Math.floor(index / 4), index % 4];
      const image = row % images;
      const start = 3 * (4 * image + pixel);
      const own = [...bytes.slice(start, start + 3)];
      // An alien pixel is the next image's of the same view, the last image's the first's.
      const next = row - image + ((image + 1) % images);
      const expected =
        code === noise
          ? own.map((v) => ((v - 127.5) * 10) / 255)
          : code === zero
            ? [0, 0, 0]
            : code === alien
              ? at(untouched, next, pixel)
              : own.map((v, c) => (v / 255 - channelMean[c]!) / channelDeviation[c]!);
      expectClose(at(seen, row, pixel), expected, 1e-5);
    }
  });

  it("takes one image alone as its own neighbour", () => {
    const alone = Object.fromEntries(
      Object.entries(batchOf(Array.from(map, () => alien))).map(([name, tensor]) => [
        name,
        tf.slice(tensor, [0, 0, 0, 0], [1, -1, -1, -1]),
      ]),
    );
    const result = corruptedBatch(alone);
    expectClose(result.corrupted, result.clean.dataSync(), 0);
  });
});
