import { visiblePatches } from "@consilium/shared/config/method-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { permutation, type Random } from "@consilium/shared/random.js";
import type { HostTensors, TensorSpecs } from "../model/tensors.js";
import { type Tensor, type Tensor1D, tf } from "../model/tf.js";

/** How many patches of an image there are and how many the encoder sees. */
export interface MaskShape {
  readonly patches: number;
  readonly visible: number;
}

/** @throws ConsiliumError "config-invalid" when nothing or everything would be visible */
export function maskShape(patches: number, maskRatio: number): MaskShape {
  const visible = visiblePatches(patches, maskRatio);
  if (visible < 1 || visible >= patches) {
    throw new ConsiliumError(
      "config-invalid",
      `maskRatio ${maskRatio} leaves ${visible} of ${patches} patches visible`,
      {
        remedy: "choose a mask ratio or a patch size that leaves at least one patch visible and one masked",
      },
    );
  }
  return { patches, visible };
}

/**
 * Inputs that say which patches are masked. Patches count within their image, and images follow each other:
 * `visible` [batch × visible]: the seen patches; `shuffle` [batch × patches]: all patches, the seen ones first;
 * `restore` [batch × patches]: its inverse; `mask` [batch, patches]: 1 where a patch is hidden.
 */
export function maskInputs(batch: number, { patches, visible }: MaskShape): TensorSpecs {
  const places = (count: number) => ({ shape: [batch * count], dtype: "int32" as const });
  return {
    visible: places(visible),
    shuffle: places(patches),
    restore: places(patches),
    mask: { shape: [batch, patches], dtype: "float32" },
  };
}

/** Draws one mask per image, uniformly. Shapes as in `maskInputs`. */
export function drawMasks(batch: number, shape: MaskShape, random: Random): HostTensors {
  const { patches } = shape;
  const visible = new Int32Array(batch * shape.visible);
  const shuffle = new Int32Array(batch * patches);
  const restore = new Int32Array(batch * patches);
  const mask = new Float32Array(batch * patches).fill(1);
  for (let image = 0; image < batch; image++) {
    const first = image * patches;
    for (const [index, place] of permutation(patches, random).entries()) {
      shuffle[first + index] = place;
      restore[first + place] = index;
      if (index >= shape.visible) continue;
      visible[image * shape.visible + index] = place;
      mask[first + place] = 0;
    }
  }
  const column = (data: Int32Array) => ({ shape: [data.length], data });
  return {
    visible: column(visible),
    shuffle: column(shuffle),
    restore: column(restore),
    mask: { shape: [batch, patches], data: mask },
  };
}

/** Places within images, int32 [batch × count] → rows through the batch: image × patches + place. */
export function batchRows(places: Tensor1D, batch: number, patches: number): Tensor1D {
  const firsts = tf.reshape(tf.range(0, batch * patches, patches, "int32"), [batch, 1]);
  return tf.reshape(tf.add(tf.reshape(places, [batch, -1]), firsts), [-1]);
}

/**
 * Rows in another order: out[i] = x[order[i]], for x [rows, width] and order int32 [rows]. The gradient gathers by
 * the inverse order instead of scattering.
 */
export function permuteRows(x: Tensor, order: Tensor1D, inverse: Tensor1D): Tensor {
  const withGradient = tf.customGrad((...args) => {
    const [input, save] = args as [Tensor, (tensors: Tensor[]) => void];
    save([inverse]);
    return {
      value: tf.gather(input, order),
      gradFunc: (dy: Tensor, saved: Tensor[]) => tf.gather(dy, saved[0] as Tensor1D),
    };
  });
  return withGradient(x);
}
