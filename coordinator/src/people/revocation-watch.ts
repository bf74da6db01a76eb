import type { Clock } from "@consilium/shared/clock.js";
import type { PersonCertificate, PersonStore } from "../store/person-store.js";

/** Someone who was revoked must be out after five seconds, and a look costs next to nothing. */
const lookEveryMs = 1000;

/**
 * Tells a coordinator that runs of certificates that a command has revoked beside it, in the database that both have.
 * Calls are refused from the moment of the revocation; this is for what lasts longer than a call's beginning.
 */
export class RevocationWatch {
  readonly #store: Pick<PersonStore, "listRevoked">;
  readonly #clock: Clock;
  #known: ReadonlySet<string>;
  #cancel = () => {};

  /** What is revoked by now is taken as known. */
  constructor(store: Pick<PersonStore, "listRevoked">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#known = serialsOf(store.listRevoked(clock.now()));
  }

  /** The listener hears of what was revoked since, all that is found by one look at once. */
  start(listener: (revoked: readonly PersonCertificate[]) => void): void {
    this.#cancel = this.#clock.schedule(this.#clock.now() + lookEveryMs, () => {
      const revoked = this.#store.listRevoked(this.#clock.now());
      const found = revoked.filter(({ serial }) => !this.#known.has(serial));
      this.#known = serialsOf(revoked);
      if (found.length > 0) listener(found);
      this.start(listener);
    });
  }

  stop(): void {
    this.#cancel();
  }
}

function serialsOf(certificates: readonly PersonCertificate[]): ReadonlySet<string> {
  return new Set(certificates.map(({ serial }) => serial));
}
