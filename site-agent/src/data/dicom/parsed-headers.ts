import type { ParsedDicom } from "./dicom-file.js";

/** The headers that were used last, so that the frames of a file do not each parse it anew. */
export class ParsedHeaders {
  readonly #capacity: number;
  readonly #entries = new Map<string, { readonly stamp: string; readonly parsed: ParsedDicom }>();

  /** @param capacity files */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @returns undefined when the file is not there or has changed */
  get(id: string, stamp: string): ParsedDicom | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    if (entry.stamp !== stamp) return undefined;
    this.#entries.set(id, entry);
    return entry.parsed;
  }

  set(id: string, stamp: string, { header, locator }: ParsedDicom): void {
    this.#entries.delete(id);
    this.#entries.set(id, { stamp, parsed: { header, locator } });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#capacity) break;
      this.#entries.delete(oldest);
    }
  }

  delete(id: string): void {
    this.#entries.delete(id);
  }

  clear(): void {
    this.#entries.clear();
  }
}
