/** Bytes that went between the host and a device since the engine was made. */
export interface Transfers {
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
}

/** Counts transfers of one engine. */
export class TransferMeter implements Transfers {
  uploadedBytes = 0;
  downloadedBytes = 0;

  uploaded(tensors: Iterable<Sized>): void {
    this.uploadedBytes += bytesOf(tensors);
  }

  downloaded(tensors: Iterable<Sized>): void {
    this.downloadedBytes += bytesOf(tensors);
  }

  get totals(): Transfers {
    const { uploadedBytes, downloadedBytes } = this;
    return { uploadedBytes, downloadedBytes };
  }
}

interface Sized {
  readonly data: { readonly byteLength: number };
}

function bytesOf(tensors: Iterable<Sized>): number {
  let bytes = 0;
  for (const { data } of tensors) bytes += data.byteLength;
  return bytes;
}
