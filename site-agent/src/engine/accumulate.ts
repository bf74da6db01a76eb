import type { NamedTensors } from "../model/tensors.js";
import { tf } from "../model/tf.js";
import { mapTensors } from "./named-tensors.js";
import { partOf, repeat } from "./trace/repeat.js";
import { isTracing } from "./trace/tracing.js";

/**
 * The sum of a function's results over equal parts of the batch. A traced program holds the function once, in a loop, so
 * that its memory is that of one part.
 * @param batch cut along the first axis: [count × rows, …] → [rows, …]
 * @param onePart float32 results, with the same names and shapes for every part
 */
export function accumulate(
  count: number,
  batch: NamedTensors,
  onePart: (part: NamedTensors) => NamedTensors,
): NamedTensors {
  if (count === 1) return onePart(batch);
  return isTracing() ? loop(count, batch, onePart) : unrolled(count, batch, onePart);
}

function unrolled(count: number, batch: NamedTensors, onePart: (part: NamedTensors) => NamedTensors): NamedTensors {
  let sum: NamedTensors | undefined;
  for (let index = 0; index < count; index++) {
    const one = onePart(mapTensors(batch, (tensor) => partOf(tensor, index, count)));
    sum = sum === undefined ? one : added(sum, one);
  }
  return sum ?? {};
}

/** The first part is recorded once outside, for the shapes of the results alone: nothing reads it there. */
function loop(count: number, batch: NamedTensors, onePart: (part: NamedTensors) => NamedTensors): NamedTensors {
  const shapes = onePart(mapTensors(batch, (tensor) => partOf(tensor, 0, count)));
  const start = mapTensors(shapes, (tensor) => tf.zerosLike(tensor));
  return repeat({ count, start, rows: batch }, (sum, part) => added(sum, onePart(part)));
}

function added(a: NamedTensors, b: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(a).map(([name, tensor]) => [name, tf.add(tensor, b[name]!)]));
}
