import type { MethodOf } from "@consilium/shared/config/method-config.js";
import { randomFor } from "@consilium/shared/random.js";
import { corruptBlocks } from "../../data/augment/corruption.js";
import { corrupted, corruptionMap } from "../../data/view-plan.js";
import { normalised } from "../../model/normalise.js";
import type { NamedTensors } from "../../model/tensors.js";
import { type Tensor, type Tensor4D, tf } from "../../model/tf.js";
import { corruptedViews } from "../corruption.js";

/** Bytes of one image after the other → [images, size, size, channels]. */
function imagesOf(arrays: readonly Uint8Array[], size: number): Tensor4D {
  const values = Float32Array.from(arrays.flatMap((array) => [...array]));
  return tf.tensor4d(values, [arrays.length, size, size, values.length / (arrays.length * size * size)]);
}

/** For tests: images of any pixels, corrupted as a run would, in the form in which GMML and SiT see a batch. */
export function corruptedBatchOf(
  { images, size }: { readonly images: number; readonly size: number },
  rule: MethodOf<"gmml"> | MethodOf<"sit">,
): NamedTensors {
  const random = randomFor("corrupted-batch", 1);
  const entries = corruptedViews.flatMap((view): [string, Tensor][] => {
    const clean = Array.from({ length: images }, () =>
      Uint8Array.from({ length: size * size * 3 }, () => random.integer(256)),
    );
    const drawn = clean.map((pixels) => corruptBlocks(pixels, rule, random));
    const [pixels, maps] = [drawn.map((image) => image.pixels), drawn.map(({ map }) => map)];
    return [
      [view, normalised(imagesOf(clean, size))],
      [corrupted(view), imagesOf(pixels, size)],
      [corruptionMap(view), imagesOf(maps, size)],
    ];
  });
  return Object.fromEntries(entries);
}
