import { sizeOf } from "@consilium/shared/params/layout.js";
import type { ElementType, Graph, Operation, Value } from "../graph/graph.js";
import { countUses } from "../graph/order.js";
import { sameShape } from "../graph/shapes.js";
import { runningOrder } from "./running-order.js";

/** Memory that one or several values of a run share, one after the other. */
export interface Buffer {
  readonly bytes: number;
  /** Place in the running order at which it is allocated. */
  readonly from: number;
  /** Place of the last operation that uses it. */
  readonly until: number;
  /** Places of all operations that read or write it. */
  readonly uses: ReadonlySet<number>;
}

export interface BufferPlan {
  readonly order: readonly Operation[];
  /** Allocated and freed during a run: neither inputs, nor outputs, nor constants. */
  readonly buffers: readonly Buffer[];
  /** By place in the order: bytes that an operation allocates and frees inside, as the body of a loop does. */
  readonly inside: readonly number[];
}

/** By element type; four where none is said. */
const elementBytes: Readonly<Record<string, number>> = { float16: 2, int64: 8, bool: 1, uint8: 1 };

function elementSize(type: ElementType): number {
  return elementBytes[type] ?? 4;
}

export function bytesOf({ shape, type }: Pick<Value, "shape" | "type">): number {
  return sizeOf(shape) * elementSize(type);
}

/** Operators whose result is their first operand's memory seen in another shape. */
const views: ReadonlySet<string> = new Set(["Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"]);

/** Operators that ONNX Runtime lets write over their operand. Its element-wise arithmetic is not among them. */
const inPlace: ReadonlySet<string> = new Set([
  ...["Cast", "Clip", "Gelu", "Relu", "Sigmoid", "Softmax", "Softplus", "Tanh"],
]);

/** What one or several values lie in while the plan is made. */
interface Place {
  readonly value: Value;
  readonly from: number;
  readonly uses: Set<number>;
  /** Reads that are still to come. */
  pending: number;
  /** Inputs, outputs and constants are never written over or freed. */
  readonly pinned: boolean;
}

export interface PlanOptions {
  /** True where outputs are allocated by the run, as a loop's body does; absent: they have a place already. */
  readonly allocatesOutputs?: boolean;
}

/**
 * Plans memory as ONNX Runtime's CPU provider does: views share, some operators write over an operand that dies, and
 * a result takes over the newest dead buffer of its own shape, which is held in between.
 */
export function planBuffers(graph: Graph, { allocatesOutputs = false }: PlanOptions = {}): BufferPlan {
  const order = runningOrder(graph).filter(({ op, constant }) => op !== "Input" && constant === undefined);
  const planning = new Planning(graph);
  order.forEach((operation, at) => {
    planning.add(operation, at);
  });
  const outputs = allocatesOutputs ? planning.outputs(order.length - 1) : [];
  return { order, buffers: [...planning.buffers(), ...outputs], inside: order.map(bytesInside) };
}

class Planning {
  readonly #reads: ReadonlyMap<Value, number>;
  readonly #outputs: ReadonlySet<Value>;
  readonly #places = new Map<Value, Place>();
  readonly #allocated: Place[] = [];
  /** The newest first. */
  readonly #free: Place[] = [];

  constructor(graph: Graph) {
    this.#reads = countUses(graph);
    this.#outputs = new Set(graph.outputs.map(({ value }) => value));
  }

  add(operation: Operation, at: number): void {
    for (const output of operation.outputs) {
      const place = this.#reused(operation, output) ?? this.#allocate(output, at);
      place.pending += this.#reads.get(output) ?? 0;
      this.#places.set(output, place);
    }
    for (const value of [...operation.inputs, ...operation.outputs]) this.#placeOf(value).uses.add(at);
    for (const input of operation.inputs) {
      const place = this.#placeOf(input);
      place.pending--;
      if (place.pending === 0 && !place.pinned) this.#free.unshift(place);
    }
  }

  buffers(): Buffer[] {
    return this.#allocated.map(({ value, from, uses }) => {
      return { bytes: bytesOf(value), from, until: Math.max(...uses), uses };
    });
  }

  outputs(end: number): Buffer[] {
    return [...this.#outputs].flatMap((value) => {
      const place = this.#places.get(value);
      const made = place !== undefined && place.pending < Number.POSITIVE_INFINITY;
      return made ? [{ bytes: bytesOf(value), from: place.from, until: end, uses: place.uses }] : [];
    });
  }

  #allocate(value: Value, from: number): Place {
    const place = { value, from, uses: new Set<number>(), pending: 0, pinned: this.#outputs.has(value) };
    if (!place.pinned) this.#allocated.push(place);
    return place;
  }

  #placeOf(value: Value): Place {
    const known = this.#places.get(value);
    if (known !== undefined) return known;
    const pinned: Place = { value, from: 0, uses: new Set(), pending: Number.POSITIVE_INFINITY, pinned: true };
    this.#places.set(value, pinned);
    return pinned;
  }

  #reused({ op, inputs }: Operation, output: Value): Place | undefined {
    const [first] = inputs;
    if (this.#outputs.has(output)) return undefined;
    if (first !== undefined && views.has(op)) return this.#placeOf(first);
    if (first !== undefined && inPlace.has(op) && this.#placeOf(first).pending === 1 && fits(first, output)) {
      return this.#placeOf(first);
    }
    const index = output.shape.length === 0 ? -1 : this.#free.findIndex(({ value }) => fits(value, output));
    return index < 0 ? undefined : this.#free.splice(index, 1)[0];
  }
}

function fits(from: Value, to: Value): boolean {
  return sameShape(from.shape, to.shape) && elementSize(from.type) === elementSize(to.type);
}

/** The body of a loop as a plan of its own. */
export function planBody(body: Graph): BufferPlan {
  return planBuffers(body, { allocatesOutputs: true });
}

/**
 * What a round needs beside as many bytes as the loop's outputs have: before they are there, the last round's results
 * are held.
 */
function bytesInside({ body, outputs }: Operation): number {
  if (body === undefined) return 0;
  const carried = outputs.reduce((sum, output) => sum + bytesOf(output), 0);
  const round = liveBytes(planBody(body)).reduce((most, bytes) => Math.max(most, bytes), 0);
  return Math.max(carried, round);
}

/** Bytes in buffers while each operation runs, in running order. */
export function liveBytes({ order, buffers, inside }: BufferPlan): number[] {
  const change = new Float64Array(order.length + 1);
  for (const { from, until, bytes } of buffers) {
    change[from]! += bytes;
    change[until + 1]! -= bytes;
  }
  let live = 0;
  return order.map((_, at) => {
    live += change[at]!;
    return live + (inside[at] ?? 0);
  });
}
