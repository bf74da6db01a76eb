import type { AuditTrail } from "./audit/audit-log.js";
import { digestOfFile } from "./audit/site-log.js";
import { loadPolicy, type Policy } from "./policy.js";

/** Reads the policy anew each time, and writes to the audit log when it is another one than before. */
export class PolicyWatch {
  readonly #path: string;
  readonly #trail: AuditTrail;
  #digest: string | undefined;

  constructor(path: string, trail: AuditTrail) {
    this.#path = path;
    this.#trail = trail;
    this.#digest = digestOfFile(path);
  }

  /** SHA-256 of the file that was read last, hex; undefined where there was none. */
  get digest(): string | undefined {
    return this.#digest;
  }

  /** @throws as loadPolicy; ConsiliumError "storage" when a change cannot be written down: it then does not count. */
  load(): Policy {
    const digest = digestOfFile(this.#path);
    if (digest !== this.#digest) {
      const before = this.#digest === undefined ? {} : { before: this.#digest };
      this.#trail.record({ action: "policy.changed", object: { ...before, ...(digest && { policy: digest }) } });
      this.#digest = digest;
    }
    return loadPolicy(this.#path);
  }
}
