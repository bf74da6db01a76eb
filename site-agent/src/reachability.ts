import type { ConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";

/** Whether the coordinator answers, and what is said about it: once when it changes, not at every try. */
export class Reachability {
  readonly #address: string;
  readonly #logger: Logger;
  readonly #explain: () => Promise<string | undefined>;
  readonly #onChange: () => void;
  #reason: string | undefined;
  #reachable: boolean | undefined;
  #explaining = false;

  constructor(options: {
    address: string;
    logger: Logger;
    /** Finds out, by a connection of its own, why the coordinator cannot be reached; undefined when it can. */
    explain: () => Promise<string | undefined>;
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

  reached(): void {
    if (this.#reachable === true) return;
    this.#reachable = true;
    this.#reason = undefined;
    this.#logger.info("coordinator-reached", { coordinator: this.#address });
    this.#onChange();
  }

  /** Says so when the reason is a new one; a try that fails as the last one did is not worth a line. */
  failed(error: ConsiliumError): void {
    this.#reachable = false;
    if (error.code !== "unreachable") this.#tell([error.message, error.remedy].filter(Boolean).join(" "));
    else if (!this.#explaining) this.#find(error);
  }

  #find(error: ConsiliumError): void {
    this.#explaining = true;
    void this.#explain()
      .catch(() => error.message)
      // Reachable again already: the next try will show.
      .then((reason) => (reason === undefined || this.#reachable !== false ? undefined : this.#tell(reason)))
      .finally(() => {
        this.#explaining = false;
      });
  }

  #tell(reason: string): void {
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#logger.warn("coordinator-unreachable", { coordinator: this.#address, reason, next: "keeps trying" });
    this.#onChange();
  }
}
