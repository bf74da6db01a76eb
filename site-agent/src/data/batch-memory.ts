/** Extent of a batch's memory. */
export interface BatchExtent {
  /** Images. */
  readonly batchSize: number;
  /** Of each view of one image. */
  readonly viewBytes: readonly number[];
}

/** Holds the count of written rows; a whole number of cache lines. */
const headerBytes = 64;

/**
 * Memory in which threads gather the views of a batch side by side: view by view, row by row. ONNX Runtime takes no
 * shared memory, so that a full batch is copied once, by whoever wrote its last row.
 */
export class BatchMemory {
  readonly #pixels: Uint8Array<SharedArrayBuffer>;
  readonly #written: Int32Array<SharedArrayBuffer>;

  /** First byte of each view's rows, and one past the last view's. */
  readonly #offsets: readonly number[];

  /** @param buffer of a memory with the same extent, which may be in use by another thread; absent: new */
  constructor(
    readonly extent: BatchExtent,
    readonly buffer: SharedArrayBuffer = allocate(extent),
  ) {
    this.#offsets = offsetsOf(extent);
    this.#written = new Int32Array(buffer, 0, 1);
    this.#pixels = new Uint8Array(buffer, headerBytes);
  }

  /**
   * Writes all views of an image; every row is to be written once.
   * @returns the batch when this was its last row: each view [batchSize, its bytes], in memory of its own
   */
  write(row: number, views: readonly Uint8Array[]): BatchViews | undefined {
    const { batchSize, viewBytes } = this.extent;
    for (const [index, view] of views.entries()) {
      this.#pixels.set(view, (this.#offsets[index] ?? 0) + row * (viewBytes[index] ?? 0));
    }
    return Atomics.add(this.#written, 0, 1) + 1 === batchSize ? this.#copy() : undefined;
  }

  /** Before it is filled again. */
  clear(): void {
    Atomics.store(this.#written, 0, 0);
  }

  #copy(): BatchViews {
    const bytes = new Uint8Array(this.#pixels.length);
    bytes.set(this.#pixels);
    return this.extent.viewBytes.map((_, index) => bytes.subarray(this.#offsets[index], this.#offsets[index + 1]));
  }
}

/** A batch's views in their order, parts of one buffer: uint8 [batchSize, size, size, channels] each. */
export type BatchViews = readonly Uint8Array<ArrayBuffer>[];

function offsetsOf({ batchSize, viewBytes }: BatchExtent): number[] {
  const offsets = [0];
  for (const bytes of viewBytes) offsets.push((offsets.at(-1) ?? 0) + batchSize * bytes);
  return offsets;
}

function allocate(extent: BatchExtent): SharedArrayBuffer {
  return new SharedArrayBuffer(headerBytes + (offsetsOf(extent).at(-1) ?? 0));
}
