import { asConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";
import { type RoundKey, roundKeyText } from "@consilium/shared/protocol.js";
import { asWord, type countedKinds, type egressKinds, type guardedKinds } from "./audit-entry.js";
import type { AuditTrail } from "./audit-log.js";
import { roundOf } from "./round-object.js";

export type EgressKind = (typeof egressKinds)[number];
export type GuardedKind = (typeof guardedKinds)[number];
export type CountedKind = (typeof countedKinds)[number];

/** Told of every message that leaves, by the one place that lets them out. Bytes are those of the encoded messages. */
export interface Egress {
  /**
   * Asked before a message of an attempt, or a request for a certificate, leaves.
   * @throws ConsiliumError "storage" when that cannot be written down; the message must not be sent.
   */
  release(message: { readonly kind: GuardedKind; readonly key: RoundKey; readonly bytes: number }): void;
  releaseEnrolment(bytes: number): void;
  /** An upload ended; `code` says why it failed. */
  uploaded(upload: { readonly key: RoundKey; readonly bytes: number; readonly code: string | undefined }): void;
  /** A message of enumerations and counters leaves. `runId` is absent for one that is about no run. */
  count(message: { readonly kind: CountedKind; readonly runId: string | undefined; readonly bytes: number }): void;
  /** A message was stopped, since the manifest does not allow it. */
  stopped(kind: EgressKind | "unlisted"): void;
  /** Bytes went to the connection, for metrics. */
  left(kind: EgressKind, bytes: number): void;
}

export interface EgressRecordOptions {
  readonly trail: AuditTrail;
  readonly logger: Logger;
  /** Counts for metrics. */
  readonly onLeft?: (kind: EgressKind, bytes: number) => void;
}

interface Tally {
  readonly kind: CountedKind;
  readonly run: string | undefined;
  messages: number;
  bytes: number;
}

/** So many runs are counted apart between two entries; more are told at once. */
const mostTallies = 64;

/** Writes to the audit log what leaves the site: key material and updates before they go, the rest in sums. */
export class EgressRecord implements Egress {
  readonly #options: EgressRecordOptions;
  readonly #tallies = new Map<string, Tally>();

  constructor(options: EgressRecordOptions) {
    this.#options = options;
  }

  release({ kind, key, bytes }: Parameters<Egress["release"]>[0]): void {
    const corrId = roundKeyText(key);
    this.#options.trail.record({ action: "message.released", object: { ...roundOf(key), kind, bytes }, corrId });
  }

  releaseEnrolment(bytes: number): void {
    this.#options.trail.record({ action: "certificate.requested", object: { bytes } });
  }

  uploaded({ key, bytes, code }: Parameters<Egress["uploaded"]>[0]): void {
    this.#afterwards(() =>
      this.#options.trail.record({
        ...{ action: "update.uploaded", object: { ...roundOf(key), bytes }, corrId: roundKeyText(key) },
        ...(code === undefined ? {} : { outcome: "failure", reason: asWord(code) }),
      }),
    );
  }

  count({ kind, runId, bytes }: Parameters<Egress["count"]>[0]): void {
    const run = runId === undefined ? undefined : asWord(runId);
    const name = `${kind} ${run ?? ""}`;
    const tally = this.#tallies.get(name) ?? { kind, run, messages: 0, bytes: 0 };
    tally.messages++;
    tally.bytes += bytes;
    this.#tallies.set(name, tally);
    if (this.#tallies.size > mostTallies) this.flush();
  }

  stopped(kind: EgressKind | "unlisted"): void {
    this.#afterwards(() =>
      this.#options.trail.record({ action: "egress.stopped", object: {}, outcome: "refused", reason: kind }),
    );
  }

  left(kind: EgressKind, bytes: number): void {
    this.#options.onLeft?.(kind, bytes);
  }

  /** Writes the sums; what cannot be written is kept for the next time. */
  flush(): void {
    for (const [name, { kind, run, messages, bytes }] of this.#tallies) {
      const object = { kind, messages, bytes, ...(run === undefined ? {} : { run }) };
      const isWritten = this.#afterwards(() => this.#options.trail.record({ action: "traffic.counted", object }));
      if (!isWritten) return;
      this.#tallies.delete(name);
    }
  }

  /** For entries about what has happened already: failing to write them undoes nothing. */
  #afterwards(record: () => void): boolean {
    try {
      record();
      return true;
    } catch (thrown) {
      const { code, message } = asConsiliumError(thrown);
      this.#options.logger.error("audit-not-written", { code, reason: message });
      return false;
    }
  }
}
