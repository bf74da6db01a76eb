import { sizeOf } from "@consilium/shared/params/layout.js";
import type { Random } from "@consilium/shared/random.js";
import type { HostTensor } from "../../../../model/tensors.js";

/** For tests: an operand of a kernel; booleans are 0 and 1. */
export interface Operand extends HostTensor {
  readonly dtype: "float32" | "int32" | "bool";
}

export interface DrawnCall {
  /** By the kernel's names; keys 0, 1, … for kernels that take a list. */
  readonly inputs: Readonly<Record<string, Operand>>;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** One call of a kernel with shapes, types and attributes as they may come. */
export type CallGenerator = (draw: Draw) => DrawnCall;
export type CallGenerators = Readonly<Record<string, CallGenerator>>;

export type Dtype = Operand["dtype"];

export class Draw {
  constructor(private readonly random: Random) {}

  /** From `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + this.random.integer(most - least + 1);
  }

  flag(): boolean {
    return this.random.integer(2) === 1;
  }

  pick<T>(...choices: readonly T[]): T {
    return choices[this.random.integer(choices.length)]!;
  }

  shape(leastRank: number, mostRank = 4, mostExtent = 4): number[] {
    return Array.from({ length: this.integer(leastRank, mostRank) }, () => this.integer(1, mostExtent));
  }

  /** Two shapes that broadcast to each other: axes of extent one, and axes missing on the left. */
  broadcastShapes(): [number[], number[]] {
    const full = this.shape(0);
    const flat = () =>
      full.map((extent) => (this.integer(0, 3) === 0 ? 1 : extent)).slice(this.integer(0, full.length));
    return this.flag() ? [full, flat()] : [flat(), full];
  }

  axis(rank: number): number {
    return this.random.integer(rank);
  }

  /** Some of the axes in ascending order, at least one. */
  axes(rank: number): number[] {
    const chosen = Array.from({ length: rank }, (_, axis) => axis).filter(() => this.flag());
    return chosen.length === 0 ? [this.axis(rank)] : chosen;
  }

  permutation(rank: number): number[] {
    const left = Array.from({ length: rank }, (_, axis) => axis);
    return Array.from({ length: rank }, () => left.splice(this.random.integer(left.length), 1)[0]!);
  }

  /**
   * Standard normal; every other time in steps of a half, so that numbers are equal to each other and to zero, which is
   * never negative.
   */
  float(shape: readonly number[]): Operand {
    const coarse = this.flag();
    return this.numbers(shape, () => {
      const number = this.random.normal();
      return coarse ? Math.round(2 * number) / 2 + 0 : number;
    });
  }

  floatBetween(shape: readonly number[], [least, most]: readonly [number, number]): Operand {
    return this.numbers(shape, () => least + (most - least) * this.random.uniform());
  }

  numbers(shape: readonly number[], next: () => number): Operand {
    return { shape, dtype: "float32", data: Float32Array.from({ length: sizeOf(shape) }, next) };
  }

  integers(shape: readonly number[], least: number, most: number): Operand {
    const data = Int32Array.from({ length: sizeOf(shape) }, () => this.integer(least, most));
    return { shape, dtype: "int32", data };
  }

  booleans(shape: readonly number[]): Operand {
    return { ...this.integers(shape, 0, 1), dtype: "bool" };
  }

  /** Away from zero, of either sign. */
  divisors(shape: readonly number[], dtype: Dtype): Operand {
    const away = (number: number) => (this.flag() ? number : -number);
    if (dtype === "float32") return this.numbers(shape, () => away(0.5 + this.random.uniform()));
    return { shape, dtype, data: Int32Array.from({ length: sizeOf(shape) }, () => away(this.integer(1, 4))) };
  }

  of(dtype: Dtype, shape: readonly number[]): Operand {
    if (dtype === "bool") return this.booleans(shape);
    return dtype === "int32" ? this.integers(shape, -4, 4) : this.float(shape);
  }

  any(shape: readonly number[]): Operand {
    return this.of(this.pick<Dtype>("float32", "int32", "bool"), shape);
  }

  number(shape: readonly number[]): Operand {
    return this.of(this.pick<Dtype>("float32", "int32"), shape);
  }

  /** Different integers below `below`. */
  different(count: number, below: number): Int32Array {
    return Int32Array.from(this.permutation(below).slice(0, count));
  }
}
