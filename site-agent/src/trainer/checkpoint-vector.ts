import { createHash } from "node:crypto";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";

export interface Checkpoint {
  /** [dimension], in layout order. */
  readonly vector: Float32Array;
  /** SHA-256 over the vector's bytes, hex: names the starting point of a round. */
  readonly digest: string;
}

export function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/**
 * Tensors that the layout does not name are passed over.
 * @throws ConsiliumError "input-unreadable" when the file is damaged or lacks a tensor of the layout
 */
export async function readCheckpoint(path: string, layout: ParameterLayout): Promise<Checkpoint> {
  const { tensors } = await readSafetensors(path);
  const vector = new Float32Array(layout.dimension);
  for (const { name, shape, offset } of layout.parameters) {
    const tensor = tensors.get(name);
    if (tensor === undefined || tensor.shape.join() !== shape.join()) {
      const found =
        tensor === undefined ? "is missing" : `has shape [${tensor.shape.join(", ")}], not [${shape.join(", ")}]`;
      throw new ConsiliumError("input-unreadable", `checkpoint ${path}: tensor ${name} ${found}`, {
        remedy: "the checkpoint belongs to another model; check the run's configuration",
      });
    }
    vector.set(tensor.data, offset);
  }
  return { vector, digest: createHash("sha256").update(bytesOf(vector)).digest("hex") };
}
