import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";

export interface AdmissionLimits {
  /** Uploads that are received at once, over all sites: each takes some megabytes of windows and parts. */
  readonly atOnce: number;
  /** Uploads that wait for their turn. They take as much; more than these are told to come again. */
  readonly waiting: number;
  /** Of one site, received or waiting: a site that reconnects may overlap its own earlier upload. */
  readonly ofOneSite: number;
}

export const admissionLimits: AdmissionLimits = { atOnce: 32, waiting: 32, ofOneSite: 4 };

/** One upload's right to be received. */
export interface Turn {
  /** Fires when it must give way to another site. */
  readonly signal: AbortSignal;
  /** Idempotent. */
  end(): void;
}

export interface AdmissionCounts {
  readonly received: number;
  readonly waiting: number;
}

interface Upload {
  readonly siteId: string;
  readonly lost: AbortController;
}

interface Waiting extends Upload {
  readonly begin: (turn: Turn) => void;
}

/**
 * Bounds the uploads that are received at once, fairly between sites: no site is received twice while another one waits,
 * so a site that opens many, or lets them hang, takes one place of the others at most.
 */
export class UploadAdmission {
  readonly #limits: AdmissionLimits;
  readonly #onChange: (counts: AdmissionCounts) => void;
  /** Both oldest first. */
  readonly #received: Upload[] = [];
  readonly #waiting: Waiting[] = [];

  constructor(limits: AdmissionLimits, onChange: (counts: AdmissionCounts) => void = () => {}) {
    this.#limits = limits;
    this.#onChange = onChange;
  }

  /**
   * Resolves when it is this upload's turn; the caller must end the turn once the body is here.
   * @throws ConsiliumError "overloaded" when too many wait; AbortedError when the signal fires first
   */
  enter(siteId: string, signal: AbortSignal): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new AbortedError());
      const refusal = this.#refusal(siteId);
      if (refusal !== undefined) return reject(refusal);
      const leave = () => {
        this.#forget(this.#waiting, waiting);
        this.#goOn();
        reject(new AbortedError());
      };
      const waiting: Waiting = {
        siteId,
        lost: new AbortController(),
        begin(turn) {
          signal.removeEventListener("abort", leave);
          resolve(turn);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiting);
      this.#goOn();
    });
  }

  #refusal(siteId: string): ConsiliumError | undefined {
    const own = [...this.#received, ...this.#waiting].filter((upload) => upload.siteId === siteId).length;
    if (own >= this.#limits.ofOneSite) return overloaded(`site ${siteId} has ${own} uploads under way at once`);
    const full = this.#received.length >= this.#limits.atOnce && this.#waiting.length >= this.#limits.waiting;
    return full ? overloaded("the coordinator receives as many uploads as it can") : undefined;
  }

  #goOn(): void {
    for (;;) {
      const next = this.#nextInLine();
      if (next === undefined) break;
      if (this.#received.length < this.#limits.atOnce) this.#begin(next);
      else if (!this.#makeRoomFor(next)) break;
    }
    this.#onChange({ received: this.#received.length, waiting: this.#waiting.length });
  }

  /** The one that waited longest among those whose sites are received least. */
  #nextInLine(): Waiting | undefined {
    const ranked = this.#waiting.map((upload) => ({ upload, received: this.#countOf(upload.siteId) }));
    return ranked.reduce<(typeof ranked)[number] | undefined>(
      (first, one) => (first === undefined || one.received < first.received ? one : first),
      undefined,
    )?.upload;
  }

  /** A site's older upload gives way: where there are two, the older one is likely to be a dead connection. */
  #makeRoomFor({ siteId }: Upload): boolean {
    if (this.#countOf(siteId) > 0) return false;
    const surplus = this.#received.find((upload) => this.#countOf(upload.siteId) > 1);
    if (surplus === undefined) return false;
    this.#forget(this.#received, surplus);
    surplus.lost.abort();
    return true;
  }

  #begin(next: Waiting): void {
    this.#forget(this.#waiting, next);
    this.#received.push(next);
    next.begin({
      signal: next.lost.signal,
      end: () => {
        if (this.#forget(this.#received, next)) this.#goOn();
      },
    });
  }

  #countOf(siteId: string): number {
    return this.#received.filter((upload) => upload.siteId === siteId).length;
  }

  #forget(list: Upload[], upload: Upload): boolean {
    const at = list.indexOf(upload);
    if (at !== -1) list.splice(at, 1);
    return at !== -1;
  }
}

/** The agent repeats the same upload after a pause. */
export function overloaded(reason: string): ConsiliumError {
  return new ConsiliumError("overloaded", reason, { remedy: "send it again in a moment" });
}
