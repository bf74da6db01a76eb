import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { statisticCount } from "../data/curation/statistics.js";
import type { SourceItem } from "../data/source.js";
import { replaceFile } from "../durable-file.js";
import { bytesOf } from "./checkpoint-vector.js";

/**
 * Statistics of images that a run has read, so that a round reads what is new only. In the run's directory, as records of
 * a digest in place of an image's name, and its statistics as little-endian float32.
 */

const keyBytes = 16;
const recordBytes = keyBytes + 4 * statisticCount;

export class StatisticsCache {
  readonly #path: string;
  readonly #purpose: string;
  readonly #rows: Map<string, Float32Array>;

  private constructor(path: string, purpose: string, rows: Map<string, Float32Array>) {
    this.#path = path;
    this.#purpose = purpose;
    this.#rows = rows;
  }

  /** @param purpose everything but the image that decides its statistics; a damaged or absent file is an empty one */
  static async open(path: string, purpose: string): Promise<StatisticsCache> {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    const rows = new Map<string, Float32Array>();
    for (let at = 0; at + recordBytes <= bytes.length; at += recordBytes) {
      const row = new Float32Array(Uint8Array.from(bytes.subarray(at + keyBytes, at + recordBytes)).buffer);
      rows.set(bytes.toString("base64", at, at + keyBytes), row);
    }
    return new StatisticsCache(path, purpose, rows);
  }

  /** Of the image as it is now. */
  get(item: Pick<SourceItem, "id" | "stamp">): Float32Array | undefined {
    return this.#rows.get(this.#keyOf(item));
  }

  /**
   * Keeps these and nothing else.
   * @throws ConsiliumError "storage"
   */
  async replace(rows: Iterable<readonly [Pick<SourceItem, "id" | "stamp">, Float32Array]>): Promise<void> {
    const fresh = new Map([...rows].map(([item, row]) => [this.#keyOf(item), row]));
    if (fresh.size === this.#rows.size && [...fresh.keys()].every((key) => this.#rows.has(key))) return;
    await replaceFile(this.#path, async (temporaryPath) => {
      const file = await open(temporaryPath, "w", 0o600);
      try {
        for (const part of recordParts(fresh)) await file.writeFile(part);
        await file.sync();
      } finally {
        await file.close();
      }
    });
    this.#rows.clear();
    for (const [key, row] of fresh) this.#rows.set(key, row);
  }

  #keyOf({ id, stamp }: Pick<SourceItem, "id" | "stamp">): string {
    const digest = createHash("sha256")
      .update(JSON.stringify([this.#purpose, id, stamp]))
      .digest();
    return digest.toString("base64", 0, keyBytes);
  }
}

/** Records that are written at once. */
const partRecords = 4096;

function* recordParts(rows: ReadonlyMap<string, Float32Array>): Generator<Buffer> {
  let records: Uint8Array[] = [];
  for (const [key, row] of rows) {
    records.push(Buffer.from(key, "base64"), bytesOf(row));
    if (records.length < 2 * partRecords) continue;
    yield Buffer.concat(records);
    records = [];
  }
  yield Buffer.concat(records);
}
