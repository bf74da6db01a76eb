import { teacherPrefix } from "@consilium/shared/params/carried.js";
import type { StoredTensor } from "@consilium/shared/params/safetensors.js";
import type { HostTensors } from "@consilium/site-agent/model/tensors.js";
import { stepCount } from "./cases.js";
import type { EngineSteps } from "./engine-steps.js";

type Values = ArrayLike<number>;
type Reference = ReadonlyMap<string, StoredTensor>;

export const columns = ["loss", "gradients", "weights", "changes", "teacher", "centre", "statistics"] as const;
export type Column = (typeof columns)[number];

/** The largest relative error among a column's tensors. */
export interface Worst {
  readonly error: number;
  /** Of the tensor that has it. */
  readonly name: string;
}

export interface Comparison {
  /** A column that the method has nothing for is absent. */
  readonly worst: Partial<Record<Column, Worst>>;
  /** Share of the parameters' elements whose change is compared. */
  readonly determined: number;
}

/**
 * Largest ‖a − b‖ / ‖b‖ of a tensor that passes. Engine and reference compute in single and in double precision; Adam
 * divides gradients by their own size and so carries their relative errors, element by element, into what weights change.
 */
export const limits: Readonly<Record<Column, number>> = {
  ...{ loss: 1e-4, gradients: 1e-4, weights: 1e-4, changes: 1e-3, teacher: 1e-4, centre: 1e-4, statistics: 1e-4 },
};

/**
 * A tensor whose gradient or change is zero but for rounding, such as a bias before a norm over the batch, is measured
 * against this share of the root mean square over all tensors instead of against itself.
 */
const floorShare = 0.05;

/** Elements that are compared; absent: all. */
type Mask = Values | undefined;

function length(values: Values, mask?: Mask): number {
  let squares = 0;
  for (let at = 0; at < values.length; at++) if (mask?.[at] !== 0) squares += values[at]! ** 2;
  return Math.sqrt(squares);
}

function difference(a: Values, b: Values): Float64Array {
  return Float64Array.from({ length: a.length }, (_, at) => a[at]! - b[at]!);
}

interface Measure {
  /** Least that a distance is divided by; absent: 0. */
  readonly floor?: number;
  /** Part of a distance that does not count; absent: 0. */
  readonly allowance?: number;
  readonly mask?: Mask;
}

/** ‖actual − expected‖ over the larger of ‖expected‖ and the floor; infinite where something is not a number. */
export function relativeError(
  actual: Values,
  expected: Values,
  { floor = 0, allowance = 0, mask }: Measure = {},
): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  const distance = length(difference(actual, expected), mask) - allowance;
  if (distance <= 0) return 0;
  const error = distance / Math.max(length(expected, mask), floor);
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

/** Each step rounds a weight to the nearest number in single precision. */
const roundingOfSteps = stepCount * 2 ** -24;

/** The smallest length that tensors of these values are measured against, by their size. */
function floors(tensors: readonly Values[]): (tensor: Values) => number {
  const count = tensors.reduce((sum, tensor) => sum + tensor.length, 0);
  const squares = tensors.reduce((sum, tensor) => sum + length(tensor) ** 2, 0);
  return (tensor) => floorShare * Math.sqrt((squares / count) * tensor.length);
}

class Comparing {
  readonly worst: Partial<Record<Column, Worst>> = {};

  constructor(
    private readonly steps: EngineSteps,
    private readonly reference: Reference,
  ) {}

  note(column: Column, name: string, error: number): void {
    const { error: before } = this.worst[column] ?? { error: Number.NEGATIVE_INFINITY };
    if (error > before) this.worst[column] = { error, name };
  }

  /** Names under a prefix that either side has: a tensor that one lacks differs infinitely. */
  names(prefix: string): string[] {
    const all = new Set([...Object.keys(this.steps.after), ...this.reference.keys()]);
    return [...all].filter((name) => name.startsWith(prefix));
  }

  actual(name: string): Values {
    return dataOf(this.steps.after, name);
  }

  expected(name: string): Values {
    return this.reference.get(name)?.data ?? [];
  }

  gradients(): void {
    const names = this.names("gradient/");
    const floorOf = floors(names.map((name) => this.expected(name)));
    for (const name of names) {
      const [actual, expected] = [this.actual(name), this.expected(name)];
      this.note("gradients", name, relativeError(actual, expected, { floor: floorOf(expected) }));
    }
  }

  /** What tensors are and how far they came, over the elements whose way is no rounding error. */
  moved(names: readonly string[], column: Column, prefix: string): void {
    const ways = names.map((name) => difference(this.expected(name), dataOf(this.steps.before, name)));
    const floorOf = floors(ways);
    for (const [index, name] of names.entries()) {
      const mask = this.reference.get(`determined/${name.slice(prefix.length)}`)?.data;
      const [actual, way] = [this.actual(name), ways[index]!];
      this.note(column, name, relativeError(actual, this.expected(name), { mask }));
      const change = difference(actual, dataOf(this.steps.before, name));
      const allowance = roundingOfSteps * length(actual, mask);
      this.note("changes", name, relativeError(change, way, { mask, floor: floorOf(way), allowance }));
    }
  }

  state(): void {
    const parameter = "parameter/";
    const teacher = `carried/${teacherPrefix}`;
    this.moved(this.names(parameter), "weights", parameter);
    this.moved(this.names(teacher), "teacher", teacher);
    for (const name of this.names("carried/").filter((carried) => !carried.startsWith(teacher))) {
      const column = name.startsWith("carried/centre.") ? "centre" : "statistics";
      this.note(column, name, relativeError(this.actual(name), this.expected(name)));
    }
  }

  losses(): void {
    for (const name of this.names("loss/")) {
      this.note("loss", name, relativeError(this.actual(name), this.expected(name)));
    }
  }

  determined(): number {
    let [counted, all] = [0, 0];
    for (const [name, { data }] of this.reference) {
      if (!name.startsWith("determined/")) continue;
      all += data.length;
      counted += data.reduce((sum, value) => sum + value, 0);
    }
    return counted / all;
  }
}

function dataOf(tensors: HostTensors, name: string): Values {
  return tensors[name]?.data ?? [];
}

export function compare(steps: EngineSteps, reference: Reference): Comparison {
  const comparing = new Comparing(steps, reference);
  comparing.losses();
  comparing.gradients();
  comparing.state();
  return { worst: comparing.worst, determined: comparing.determined() };
}

/** Columns whose worst error is beyond its limit. */
export function failures({ worst }: Comparison): Column[] {
  return columns.filter((column) => !((worst[column]?.error ?? 0) <= limits[column]));
}
