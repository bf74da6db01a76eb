import { type Picklable, pickleOf } from "./pickle-writer.js";
import { type WrittenEntry, zipOf } from "./zip-writer.js";

export const float32 = (...values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

export interface TorchContent {
  /** The pickle itself, or the value that it describes. */
  readonly pickle: Uint8Array | Picklable;
  /** Bytes of the storages, by key. */
  readonly storages?: Readonly<Record<string, Uint8Array>>;
  readonly byteOrder?: string;
  readonly deflated?: boolean;
  readonly wide?: boolean;
  readonly further?: readonly WrittenEntry[];
}

/** For tests: a file as torch.save writes it. */
export function torchFileOf(content: TorchContent): Uint8Array {
  const { pickle, storages = {}, byteOrder = "little", deflated = false, wide = false, further = [] } = content;
  const data = pickle instanceof Uint8Array ? pickle : pickleOf(pickle);
  const stored = Object.entries(storages).map(([key, bytes]) => ({
    name: `archive/data/${key}`,
    data: bytes,
    deflated,
  }));
  const entries = [
    { name: "archive/data.pkl", data, deflated },
    { name: "archive/byteorder", data: Buffer.from(byteOrder) },
    ...stored,
    { name: "archive/version", data: Buffer.from("3\n") },
    ...further,
  ];
  return zipOf(entries, { wide });
}
