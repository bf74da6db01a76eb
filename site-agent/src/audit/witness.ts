import type { RoundKey } from "@consilium/shared/protocol.js";
import { asWord } from "./audit-entry.js";
import type { AuditTrail } from "./audit-log.js";
import { parseLine } from "./chain.js";
import { listSegments, readLines } from "./segments.js";

/** Compares what the coordinator signed that it saw of this site's log with the log itself. */
export class Witness {
  readonly #directory: string;
  readonly #trail: AuditTrail;
  /** What came back last, hex. */
  #last: string | undefined;

  constructor(directory: string, trail: AuditTrail) {
    this.#directory = directory;
    this.#trail = trail;
  }

  /**
   * Writes down what came back, once for each checkpoint. Returns false where this log does not hold the entry: it was cut
   * or rewritten since it was reported, or is another one.
   */
  compare({ runId }: Pick<RoundKey, "runId">, seen: Uint8Array): boolean {
    const head = Buffer.from(seen).toString("hex");
    if (head === this.#last || !/^[0-9a-f]{64}$/.test(head)) return true;
    const isHere = holdsCheckpoint(this.#directory, head);
    this.#trail.record({
      ...{ action: "log.witnessed", object: { run: asWord(runId), head }, actor: "coordinator", role: "coordinator" },
      ...(isHere ? {} : { outcome: "failure", reason: "entry-missing" }),
    });
    this.#last = head;
    return isHere;
  }
}

/** From the newest file back, since that is where it usually is. */
function holdsCheckpoint(directory: string, head: string): boolean {
  return listSegments(directory)
    .reverse()
    .some(({ path }) => {
      for (const { bytes } of readLines(path)) {
        const mayBe = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(head);
        const entry = mayBe ? parseLine(bytes) : undefined;
        if (entry?.action === "log.checkpoint" && entry.hash === head) return true;
      }
      return false;
    });
}
