/** Extent of a batch's memory. */
export interface BatchExtent {
  /** Views of each image. */
  readonly views: number;
  /** Images. */
  readonly batchSize: number;
  /** Of one view of one image. */
  readonly viewBytes: number;
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

  /** @param buffer of a memory with the same extent, which may be in use by another thread; absent: new */
  constructor(
    readonly extent: BatchExtent,
    readonly buffer: SharedArrayBuffer = allocate(extent),
  ) {
    this.#written = new Int32Array(buffer, 0, 1);
    this.#pixels = new Uint8Array(buffer, headerBytes);
  }

  /**
   * Writes all views of an image; every row is to be written once.
   * @returns the batch when this was its last row: each view [batchSize, viewBytes], in memory of its own
   */
  write(row: number, views: readonly Uint8Array[]): BatchViews | undefined {
    const { batchSize, viewBytes } = this.extent;
    for (const [index, view] of views.entries()) this.#pixels.set(view, (index * batchSize + row) * viewBytes);
    return Atomics.add(this.#written, 0, 1) + 1 === batchSize ? this.#copy() : undefined;
  }

  /** Before it is filled again. */
  clear(): void {
    Atomics.store(this.#written, 0, 0);
  }

  #copy(): BatchViews {
    const { views, batchSize, viewBytes } = this.extent;
    const bytes = new Uint8Array(views * batchSize * viewBytes);
    bytes.set(this.#pixels);
    const length = batchSize * viewBytes;
    return Array.from({ length: views }, (_, index) => bytes.subarray(index * length, (index + 1) * length));
  }
}

/** A batch's views in their order, parts of one buffer: uint8 [batchSize, imageSize, imageSize, 3] each. */
export type BatchViews = readonly Uint8Array<ArrayBuffer>[];

function allocate({ views, batchSize, viewBytes }: BatchExtent): SharedArrayBuffer {
  return new SharedArrayBuffer(headerBytes + views * batchSize * viewBytes);
}
