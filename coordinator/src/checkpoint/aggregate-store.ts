import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { aggregateName } from "@consilium/shared/aggregate/aggregate-file.js";

/** A directory of rounds' sums, each named after the SHA-256 of its bytes. One process owns it. */
export class AggregateStore {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** @param digest hex, as results name it */
  pathOf(digest: string): string {
    return join(this.directory, aggregateName(digest));
  }

  async remove(digests: readonly string[]): Promise<void> {
    for (const digest of digests) await rm(this.pathOf(digest), { force: true });
  }

  /** Removes what an earlier process left behind: everything but the sums with these digests. */
  sweep(live: readonly string[]): void {
    const kept = new Set(live.map(aggregateName));
    for (const name of readdirSync(this.directory)) {
      if (!kept.has(name)) rmSync(join(this.directory, name), { force: true });
    }
  }
}
