import { ConsiliumError } from "@consilium/shared/errors.js";
import { tf } from "../../model/tf.js";
import { GraphBuilder, typedArray } from "../graph/builder.js";
import type { ElementType, Shape, Value } from "../graph/graph.js";

type DataId = object;
type TypedValues = Float32Array | Int32Array | Uint8Array;

interface Held {
  readonly value: Value;
  /** TensorFlow.js tensors that share the data. */
  owners: number;
}

/**
 * A TensorFlow.js backend that computes nothing. Its data is the value of a graph operation, so running a function on
 * it records the function. One recording at a time; everything in it is synchronous.
 */
export class TraceBackend extends tf.KernelBackend {
  #builder: GraphBuilder | undefined;
  #programName = "";
  readonly #held = new WeakMap<DataId, Held>();
  #dataCount = 0;

  get programName(): string {
    return this.#programName;
  }

  get builder(): GraphBuilder {
    if (this.#builder === undefined) throw new ConsiliumError("internal", "no program is being traced");
    return this.#builder;
  }

  start(programName: string): void {
    if (this.#builder !== undefined) {
      throw new ConsiliumError("internal", `program ${programName} is traced inside program ${this.#programName}`);
    }
    this.#programName = programName;
    this.#builder = new GraphBuilder();
  }

  stop(): void {
    this.#builder = undefined;
  }

  hold(value: Value): DataId {
    const dataId = {};
    this.#held.set(dataId, { value, owners: 1 });
    this.#dataCount++;
    return dataId;
  }

  valueFor(dataId: DataId): Value {
    const held = this.#held.get(dataId);
    if (held === undefined) {
      throw new ConsiliumError(
        "internal",
        `program ${this.#programName} uses a tensor that was made outside its build`,
        {
          remedy: "make constants inside build, or pass them as inputs",
        },
      );
    }
    return held.value;
  }

  override write(values: unknown, shape: number[], dtype: string): DataId {
    return this.hold(this.#constant(values, shape, dtype));
  }

  override move(dataId: DataId, values: unknown, shape: number[], dtype: string, refCount: number): void {
    this.#held.set(dataId, { value: this.#constant(values, shape, dtype), owners: refCount });
    this.#dataCount++;
  }

  override refCount(dataId: DataId): number {
    return this.#held.get(dataId)?.owners ?? 0;
  }

  override incRef(dataId: DataId): void {
    const held = this.#held.get(dataId);
    if (held !== undefined) held.owners++;
  }

  /** Counts only: the graph keeps what its outputs need, and gradients may still name disposed tensors. */
  override disposeData(dataId: DataId, force = false): boolean {
    const held = this.#held.get(dataId);
    if (held === undefined) return true;
    held.owners--;
    if (held.owners > 0 && !force) return false;
    this.#dataCount--;
    return true;
  }

  override numDataIds(): number {
    return this.#dataCount;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override readSync(): never {
    return this.#refuseRead();
  }

  override async read(): Promise<never> {
    return this.#refuseRead();
  }

  override dispose(): void {
    this.stop();
  }

  #refuseRead(): never {
    throw new ConsiliumError("internal", `program ${this.#programName} reads a tensor's values while it is built`, {
      remedy: "return the tensor as an output instead",
    });
  }

  #constant(values: unknown, shape: Shape, dtype: string): Value {
    if (!isTypedValues(values) || (dtype !== "float32" && dtype !== "int32" && dtype !== "bool")) {
      throw new ConsiliumError("kernel-missing", `program ${this.#programName} has a constant of type ${dtype}`);
    }
    return constantValue(this.builder, values, { shape, type: dtype });
  }
}

interface ConstantType {
  readonly shape: Shape;
  readonly type: ElementType;
}

/** Gradients make big tensors of ones and zeros; one number stands for all of a constant whose elements are equal. */
export function constantValue(builder: GraphBuilder, values: TypedValues, { shape, type }: ConstantType): Value {
  const [first] = values;
  const uniform = first !== undefined && values.every((value) => Object.is(value, first));
  return builder.constant(typedArray(type, uniform ? [first] : values), shape, type);
}

function isTypedValues(values: unknown): values is TypedValues {
  return values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array;
}
