import type { Clock } from "@consilium/shared/clock.js";

/** What the coordinator can ask of a site; each costs a signature to check and lines of the audit log. */
type Asking = "plan" | "withdrawal";

/** Of each kind, in a minute: more than the shortest rounds bring, and little enough for disk and processor. */
export const mostDirectivesAMinute = 120;
const minuteMs = 60_000;

/** Lets in so many plans and withdrawals a minute, over all connections, so that a flood of them cannot fill the audit log. */
export class DirectiveGate {
  readonly #clock: Clock;
  readonly #onSurplus: (surplus: { readonly isFirst: boolean }) => void;
  #minuteFromMs = Number.NEGATIVE_INFINITY;
  readonly #counts = new Map<Asking, number>();

  /** @param onSurplus told of each that is kept out, and whether it is the first of its kind in this minute */
  constructor({ clock, onSurplus }: { clock: Clock; onSurplus: (surplus: { isFirst: boolean }) => void }) {
    this.#clock = clock;
    this.#onSurplus = onSurplus;
  }

  /** Whether one more may be looked at. */
  admits(kind: Asking): boolean {
    this.#turnMinute();
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    if (count <= mostDirectivesAMinute) return true;
    this.#onSurplus({ isFirst: count === mostDirectivesAMinute + 1 });
    return false;
  }

  /** Also where the clock was set back, or nothing would come in until it has caught up. */
  #turnMinute(): void {
    const passedMs = this.#clock.now() - this.#minuteFromMs;
    if (passedMs >= 0 && passedMs < minuteMs) return;
    this.#minuteFromMs = this.#clock.now();
    this.#counts.clear();
  }
}
