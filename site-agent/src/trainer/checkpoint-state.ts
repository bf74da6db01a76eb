import { ConsiliumError } from "@consilium/shared/errors.js";
import type { Travel } from "@consilium/shared/params/carried.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { freshState, type StateShape, type TrainingState } from "../engine/training-state.js";

/**
 * Between a checkpoint's flat vector, which is the trained tensors and then what is averaged of the method's carried
 * state, and the state of training, which has more: what stays at the site.
 */

function travelOf({ method }: StateShape, name: string): Travel {
  return method.carried?.travel?.[name] ?? "kept";
}

function averagedNames(shape: StateShape): string[] {
  return Object.keys(shape.method.carried?.specs ?? {}).filter((name) => travelOf(shape, name) === "averaged");
}

/** The carried tensors that a checkpoint's vector holds, by name; views. */
function averagedOf(shape: StateShape, vector: Float32Array): Record<string, Float32Array> {
  let offset = shape.layout.dimension;
  const parts: Record<string, Float32Array> = {};
  for (const name of averagedNames(shape)) {
    const size = sizeOf(shape.method.carried?.specs[name]?.shape ?? []);
    parts[name] = vector.subarray(offset, offset + size);
    offset += size;
  }
  if (offset !== vector.length) {
    throw new ConsiliumError("internal", `a checkpoint of ${vector.length} values where the method has ${offset}`);
  }
  return parts;
}

/**
 * The state in which a round begins at a vector in a checkpoint's layout: what is averaged comes from the vector, what
 * stays at the site from `kept` where there is such, and everything else begins anew.
 */
export function stateAt(shape: StateShape, vector: Float32Array, kept?: TrainingState): TrainingState {
  const averaged = averagedOf(shape, vector);
  const parameters = vector.subarray(0, shape.layout.dimension);
  const fresh = freshState(shape, parameters);
  const base = kept ?? fresh;
  const ownOf = (name: string): Float32Array | undefined =>
    travelOf(shape, name) === "anew" ? fresh.carried[name] : base.carried[name];
  const carried = Object.keys(shape.method.carried?.specs ?? {}).map((name) => [name, averaged[name] ?? ownOf(name)]);
  return { ...base, parameters, carried: Object.fromEntries(carried) };
}

/** The state as a vector in the checkpoint's layout. A copy where it holds more than parameters. */
export function checkpointVector(shape: StateShape, state: TrainingState): Float32Array {
  const names = averagedNames(shape);
  if (names.length === 0) return state.parameters;
  const parts = [state.parameters, ...names.map((name) => state.carried[name] ?? new Float32Array(0))];
  const vector = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    vector.set(part, offset);
    offset += part.length;
  }
  return vector;
}
