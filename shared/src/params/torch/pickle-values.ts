/** What a PyTorch pickle may say. Lists and tuples are arrays; dictionaries are maps, so that no key is special. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | GlobalName
  | Inert
  | StorageRecord
  | TensorRecord;

/** The name of something in Python. It stays a name: nothing is ever looked up by it. */
export class GlobalName {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Stands for an object that weights do not need, such as a training script's arguments. Keeps nothing. */
export class Inert {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Values in an entry of the archive. */
export class StorageRecord {
  /** As safetensors names types. */
  readonly dtype: string;
  readonly key: string;
  /** Number of values. */
  readonly length: number;
  constructor(dtype: string, key: string, length: number) {
    this.dtype = dtype;
    this.key = key;
    this.length = length;
  }
}

/** A view of a storage: value [i, j, …] lies at offset + i·strides[0] + j·strides[1] + …; all places are inside it. */
export class TensorRecord {
  readonly storage: StorageRecord;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(storage: StorageRecord, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}
