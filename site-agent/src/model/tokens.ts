import type { Tensor2D, Tensor3D } from "./tf.js";
import { tf } from "./tf.js";

/** Encoded tokens are [batch, 1 + registers + patches, width]: the class token, registers, then patches row by row. */

/** Class token of encoded tokens: → [batch, width]. */
export function classTokens(tokens: Tensor3D): Tensor2D {
  const [batch, , width] = tokens.shape;
  return tf.reshape(tf.slice(tokens, [0, 0, 0], [batch, 1, width]), [batch, width]);
}

/** Patch tokens of encoded tokens: → [batch, patches, width]. */
export function patchTokens(tokens: Tensor3D, registers = 0): Tensor3D {
  const [batch, count, width] = tokens.shape;
  return tf.slice(tokens, [0, 1 + registers, 0], [batch, count - 1 - registers, width]);
}

/** Mean of the patch tokens: → [batch, width]. */
export function meanPatchTokens(tokens: Tensor3D, registers = 0): Tensor2D {
  return tf.mean(patchTokens(tokens, registers), 1);
}

/** What stands for each image: → [batch, width]. */
export function pooled(tokens: Tensor3D, pooling: "class" | "mean", registers = 0): Tensor2D {
  return pooling === "mean" ? meanPatchTokens(tokens, registers) : classTokens(tokens);
}
