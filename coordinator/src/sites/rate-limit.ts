import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";

export interface RateLimitOptions {
  readonly tries: number;
  readonly windowMs: number;
  readonly clock: Clock;
}

/** More names than this at once are refused unseen, so that an attacker with many addresses cannot fill the memory. */
const maxNames = 10_000;

/** At most `tries` failures for each name in any window. */
export class RateLimit {
  readonly #failures = new Map<string, number[]>();
  readonly #options: RateLimitOptions;

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** @throws ConsiliumError "overloaded" when the name has used its tries. */
  check(name: string): void {
    const recent = this.#recent(name);
    const full = this.#failures.size >= maxNames && !this.#failures.has(name);
    if (recent.length < this.#options.tries && !full) return;
    throw new ConsiliumError("overloaded", `too many failed tries for ${name}`, {
      remedy: `wait ${Math.ceil(this.#options.windowMs / 1000)} seconds and try again`,
    });
  }

  fail(name: string): void {
    this.#failures.set(name, [...this.#recent(name), this.#options.clock.now()]);
    if (this.#failures.size >= maxNames) this.#forgetOld();
  }

  #recent(name: string): number[] {
    const sinceMs = this.#options.clock.now() - this.#options.windowMs;
    return (this.#failures.get(name) ?? []).filter((atMs) => atMs > sinceMs);
  }

  #forgetOld(): void {
    for (const name of [...this.#failures.keys()]) {
      if (this.#recent(name).length === 0) this.#failures.delete(name);
    }
  }
}
