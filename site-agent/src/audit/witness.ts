import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "@consilium/shared/clock.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { asWord } from "./audit-entry.js";
import type { AuditTrail } from "./audit-log.js";
import { parseLine } from "./chain.js";
import { listSegments, readLines, type Segment } from "./segments.js";

/** A log of years takes a while to read: whoever names ever new checkpoints must not keep the site busy with that. */
const restMs = 60_000;

/** Compares what the coordinator signed that it saw of this site's log with the log itself. */
export class Witness {
  readonly #directory: string;
  readonly #trail: AuditTrail;
  readonly #clock: Clock;
  /** What came back last, hex. */
  #last: string | undefined;
  #restsFromMs = Number.NEGATIVE_INFINITY;
  #state: "idle" | "comparing" | "closed" = "idle";

  constructor(directory: string, trail: AuditTrail, clock: Clock) {
    this.#directory = directory;
    this.#trail = trail;
    this.#clock = clock;
  }

  /**
   * Writes down what came back, once for each checkpoint. Resolves to false where this log does not hold the entry: it was
   * cut or rewritten since it was reported, or is another one. A checkpoint that comes while the log is read, or within a
   * minute after, is passed over: the next one comes with the next plan, and follows from those before it.
   * @throws ConsiliumError "storage" when it cannot be written down
   */
  async compare({ runId }: Pick<RoundKey, "runId">, seen: Uint8Array): Promise<boolean> {
    const head = Buffer.from(seen).toString("hex");
    if (head === this.#last || !/^[0-9a-f]{64}$/.test(head) || !this.#mayCompare) return true;
    this.#state = "comparing";
    const isHere = await this.#holds(head).finally(() => this.#rest());
    if (isHere === undefined) return true;
    this.#trail.record({
      ...{ action: "log.witnessed", object: { run: asWord(runId), head }, actor: "coordinator", role: "coordinator" },
      ...(isHere ? {} : { outcome: "failure", reason: "entry-missing" }),
    });
    this.#last = head;
    return isHere;
  }

  /** Nothing is compared or written down any more. */
  close(): void {
    this.#state = "closed";
  }

  get #mayCompare(): boolean {
    const restedMs = this.#clock.now() - this.#restsFromMs;
    return this.#state === "idle" && (restedMs < 0 || restedMs >= restMs);
  }

  get #isClosed(): boolean {
    return this.#state === "closed";
  }

  #rest(): void {
    if (!this.#isClosed) this.#state = "idle";
    this.#restsFromMs = this.#clock.now();
  }

  /** From the newest file back, since that is where it usually is; file by file, so that other work goes on. */
  async #holds(head: string): Promise<boolean | undefined> {
    for (const segment of listSegments(this.#directory).reverse()) {
      if (holdsCheckpoint(segment, head)) return true;
      await nextTurn();
      if (this.#isClosed) return undefined;
    }
    return false;
  }
}

function holdsCheckpoint({ path }: Segment, head: string): boolean {
  for (const { bytes } of readLines(path)) {
    const mayBe = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(head);
    const entry = mayBe ? parseLine(bytes) : undefined;
    if (entry?.action === "log.checkpoint" && entry.hash === head) return true;
  }
  return false;
}
