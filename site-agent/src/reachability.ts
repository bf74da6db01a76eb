import type { ConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";

/** What stands between this site and the coordinator. */
export interface Obstacle {
  readonly text: string;
  /** It does not go away by itself: the certificate was revoked, or has expired. */
  readonly lasting: boolean;
}

/** What the coordinator itself said. */
function spoken({ code, message, remedy }: ConsiliumError): Obstacle {
  return { text: [message, remedy].filter(Boolean).join(" "), lasting: code === "certificate-refused" };
}

/** Whether the coordinator answers, and what is said about it: once when it changes, not at every try. */
export class Reachability {
  readonly #address: string;
  readonly #logger: Logger;
  readonly #explain: () => Promise<Obstacle | undefined>;
  readonly #onChange: () => void;
  #reason: string | undefined;
  #lasting = false;
  #reachable: boolean | undefined;
  #explaining = false;

  constructor(options: {
    address: string;
    logger: Logger;
    /** Finds out, by a connection of its own, why the coordinator cannot be reached; undefined when it can. */
    explain: () => Promise<Obstacle | undefined>;
    onChange: () => void;
  }) {
    this.#address = options.address;
    this.#logger = options.logger;
    this.#explain = options.explain;
    this.#onChange = options.onChange;
  }

  /** False until the first answer. */
  get reachable(): boolean {
    return this.#reachable === true;
  }

  /** Why not, once that is known. */
  get reason(): string | undefined {
    return this.#reachable === false ? this.#reason : undefined;
  }

  /** True while trying soon again is of no use. */
  get lasting(): boolean {
    return this.#reachable === false && this.#lasting;
  }

  reached(): void {
    this.#lasting = false;
    if (this.#reachable === true) return;
    this.#reachable = true;
    this.#reason = undefined;
    this.#logger.info("coordinator-reached", { coordinator: this.#address });
    this.#onChange();
  }

  /** Says so when the reason is a new one; a try that fails as the last one did is not worth a line. */
  failed(error: ConsiliumError): void {
    this.#reachable = false;
    if (error.code !== "unreachable") this.#tell(spoken(error));
    else if (!this.#explaining) this.#find(error);
  }

  #find(error: ConsiliumError): void {
    this.#explaining = true;
    void this.#explain()
      .catch((): Obstacle => ({ text: error.message, lasting: false }))
      // Reachable again already: the next try will show.
      .then((reason) => (reason === undefined || this.#reachable !== false ? undefined : this.#tell(reason)))
      .finally(() => {
        this.#explaining = false;
      });
  }

  #tell({ text: reason, lasting }: Obstacle): void {
    this.#lasting = lasting;
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#logger.warn("coordinator-unreachable", { coordinator: this.#address, reason, next: "keeps trying" });
    this.#onChange();
  }
}
