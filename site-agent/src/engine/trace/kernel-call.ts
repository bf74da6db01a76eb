import { ConsiliumError } from "@consilium/shared/errors.js";
import type { GraphBuilder } from "../graph/builder.js";
import type { Value } from "../graph/graph.js";

/** One call of a TensorFlow.js kernel on symbolic values. Attribute names are TensorFlow.js's. */
export class KernelCall {
  constructor(
    readonly kernelName: string,
    readonly builder: GraphBuilder,
    private readonly call: {
      readonly inputs: ReadonlyMap<string, Value>;
      readonly attributes: Readonly<Record<string, unknown>>;
    },
  ) {}

  /** All inputs in order, for kernels that take a list. */
  get inputs(): readonly Value[] {
    return [...this.call.inputs.values()];
  }

  input(name: string): Value {
    return this.optionalInput(name) ?? this.#fail(`input "${name}"`);
  }

  optionalInput(name: string): Value | undefined {
    return this.call.inputs.get(name);
  }

  number(name: string, fallback?: number): number {
    const value = this.call.attributes[name] ?? fallback;
    return typeof value === "number" ? value : this.#fail(`number "${name}"`);
  }

  /** A list; one number counts as a list of one. */
  numbers(name: string): readonly number[] {
    const value = this.call.attributes[name];
    if (typeof value === "number") return [value];
    return isNumbers(value) ? value : this.#fail(`numbers "${name}"`);
  }

  has(name: string): boolean {
    return this.call.attributes[name] !== undefined && this.call.attributes[name] !== null;
  }

  isNumber(name: string): boolean {
    return typeof this.call.attributes[name] === "number";
  }

  pairs(name: string): readonly (readonly [number, number])[] {
    const value = this.call.attributes[name];
    return isPairs(value) ? value : this.#fail(`pairs "${name}"`);
  }

  flag(name: string): boolean {
    return this.call.attributes[name] === true;
  }

  isText(name: string): boolean {
    return typeof this.call.attributes[name] === "string";
  }

  text(name: string): string {
    const value = this.call.attributes[name];
    return typeof value === "string" ? value : this.#fail(`text "${name}"`);
  }

  /** Refuses a combination that no kernel here lowers. */
  unsupported(what: string): never {
    throw new ConsiliumError("kernel-missing", `kernel ${this.kernelName} is not traced for ${what}`, {
      remedy: "write the program with other operations, or extend site-agent/src/engine/trace/kernels",
    });
  }

  #fail(what: string): never {
    throw new ConsiliumError("internal", `kernel ${this.kernelName} was called without ${what}`);
  }
}

/** Turns one kernel call into graph values: one, or a list for kernels with several outputs. */
export type TraceKernel = (call: KernelCall) => Value | readonly Value[];
export type TraceKernels = Readonly<Record<string, TraceKernel>>;

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

function isPairs(value: unknown): value is [number, number][] {
  return Array.isArray(value) && value.every((item) => isNumbers(item) && item.length === 2);
}
