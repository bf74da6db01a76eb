import { corruptionCodes, noiseScale } from "../data/augment/corruption.js";
import { corrupted, corruptionMap } from "../data/view-plan.js";
import { parameterOf } from "../model/layers.js";
import { normalised } from "../model/normalise.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Tensor, type Tensor4D, tf } from "../model/tf.js";

/** Each is made and corrupted by itself. */
export const corruptedViews = ["view1", "view2"] as const;

/** A view, or several one after the other, before and after corruption. */
export interface CorruptedView {
  /** Normalised: [rows, size, size, 3]. */
  readonly clean: Tensor4D;
  /** The same with what stands in the corrupted places. */
  readonly corrupted: Tensor4D;
  /** [rows, size, size, 1]: 1 where corrupted. */
  readonly mask: Tensor4D;
}

/** Byte of a normalised value of zero. */
const noiseZero = 127.5;

/** Every image's successor in the batch: [batch, …] → the same. The order of a batch is drawn, so that it is any other. */
function successors(images: Tensor4D): Tensor4D {
  const [batch, ...rest] = images.shape;
  if (batch === 1) return images;
  const others = tf.slice(images, [1, 0, 0, 0], [batch - 1, ...rest]);
  return tf.concat([others, tf.slice(images, [0, 0, 0, 0], [1, ...rest])], 0);
}

/** What the data pipeline drew for a view, as the model sees it: see `data/augment/corruption.ts` for the codes. */
function corruptedView(batch: NamedTensors, view: string): CorruptedView {
  const clean = parameterOf(batch, view) as Tensor4D;
  const bytes = parameterOf(batch, corrupted(view));
  const map = parameterOf(batch, corruptionMap(view));
  const where = (code: number): Tensor => tf.cast(tf.equal(map, code), "float32");
  const alien = where(corruptionCodes.alien);
  const noise = where(corruptionCodes.noise);
  const zero = where(corruptionCodes.zero);
  const own = tf.sub(1, tf.add(tf.add(alien, noise), zero));
  const mixed = tf.addN([
    tf.mul(normalised(bytes), own),
    tf.mul(successors(clean), alien),
    tf.mul(tf.mul(tf.sub(bytes, noiseZero), noiseScale), noise),
  ]);
  return { clean, corrupted: mixed as Tensor4D, mask: tf.cast(tf.greater(map, 0), "float32") as Tensor4D };
}

/** Both views of a batch, one after the other: 2 × batch rows. Another image's pixels come from the same view of it. */
export function corruptedBatch(batch: NamedTensors): CorruptedView {
  const seen = corruptedViews.map((view) => corruptedView(batch, view));
  const joined = (part: keyof CorruptedView): Tensor4D =>
    tf.concat(
      seen.map((view) => view[part]),
      0,
    );
  return { clean: joined("clean"), corrupted: joined("corrupted"), mask: joined("mask") };
}
