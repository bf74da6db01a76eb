import type { NamedTensors } from "../../model/tensors.js";
import { type Tensor, type Tensor1D, tf } from "../../model/tf.js";
import { closeOver } from "../graph/close-over.js";
import { cast } from "../graph/emit.js";
import type { Graph } from "../graph/graph.js";
import { mapTensors } from "../named-tensors.js";
import { isTracing, tensorOfValue, traceBuilder, valueOfTensor } from "./tracing.js";

export interface Repetition {
  readonly count: number;
  /** What the first round starts from. */
  readonly start: NamedTensors;
  /** Round i sees rows i × rows / count … of each: [rows, …] → [rows / count, …]. */
  readonly rows: NamedTensors;
}

/** @returns the start of the next round: the names, shapes and types of its own start */
export type Round = (current: NamedTensors, rows: NamedTensors) => NamedTensors;

/**
 * Runs a function `count` times, each round on the result of the one before and on its own rows. A traced program holds
 * the function once, as the body of a loop, so that its memory is that of one round. Nothing is differentiated through it.
 */
export function repeat(repetition: Repetition, round: Round): NamedTensors {
  return isTracing() ? tracedLoop(repetition, round) : eagerLoop(repetition, round);
}

function eagerLoop({ count, start, rows }: Repetition, round: Round): NamedTensors {
  let current = start;
  for (let index = 0; index < count; index++) {
    current = round(
      current,
      mapTensors(rows, (tensor) => partOf(tensor, index, count)),
    );
  }
  return current;
}

/** One of `count` equal parts along the first axis. */
export function partOf(tensor: Tensor, index: number, count: number): Tensor {
  const [total = 0, ...rest] = tensor.shape;
  const size = total / count;
  return tf.slice(tensor, [index * size, ...rest.map(() => 0)], [size, ...rest]);
}

/**
 * An operation "Repeat". Inputs: the starts, then what the body reads from outside. The body's inputs: the index of the
 * round (int64), then the same as the operation's. Outputs of both: the starts of the next round.
 */
function tracedLoop({ count, start, rows }: Repetition, round: Round): NamedTensors {
  const builder = traceBuilder();
  // Rounds first, so that a round's rows are one index away.
  const grouped = mapTensors(rows, (tensor) => {
    const [total = 0, ...rest] = tensor.shape;
    return tf.reshape(tensor, [count, total / count, ...rest]);
  });
  const names = Object.keys(start);
  const firstInside = builder.nextId;
  const index = builder.input([], "int64");
  const current = names.map((name) => {
    const { shape, type } = valueOfTensor(start[name]!);
    return builder.input(shape, type);
  });
  const place = tensorOfValue(cast(builder, index, "int32"));
  const mine = mapTensors(grouped, (tensor) => tf.gather(tensor, place as Tensor1D));
  const after = round(Object.fromEntries(names.map((name, at) => [name, tensorOfValue(current[at]!)])), mine);
  const body: Graph = {
    name: "round",
    inputs: [index, ...current].map((value, at) => ({ name: at === 0 ? "index" : names[at - 1]!, value })),
    outputs: names.map((name) => ({ name, value: valueOfTensor(after[name]!) })),
  };
  const closed = closeOver(body, firstInside);
  const operation = builder.operation({
    op: "Repeat",
    inputs: [...names.map((name) => valueOfTensor(start[name]!)), ...closed.captured],
    outputs: body.outputs.map(({ value: { shape, type } }) => ({ shape, type })),
    attributes: { count: { int: count } },
    body: closed.graph,
  });
  return Object.fromEntries(names.map((name, at) => [name, tensorOfValue(operation.outputs[at]!)]));
}
