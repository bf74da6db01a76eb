import { ConsiliumError } from "@consilium/shared/errors.js";
import { exitCodes } from "@consilium/shared/terminal/output.js";
import type { AuditEntry } from "../audit/audit-entry.js";
import { type EntryFilter, type Reading, readEntries } from "../audit/read-log.js";
import { CommandFailed } from "./command-failed.js";

/** The entries of a log for a person, who is told where they cannot be all that was written. */
export class LogReading {
  readonly #directory: string;
  readonly #reading: Reading = { unreadable: 0, gone: 0 };

  constructor(directory: string) {
    this.#directory = directory;
  }

  entries(filter: EntryFilter): Generator<AuditEntry> {
    return readEntries(this.#directory, filter, this.#reading);
  }

  /** Once all entries were read. @throws CommandFailed with code 6 where lines are damaged or gone */
  requireWhole(): void {
    const { unreadable, gone } = this.#reading;
    if (unreadable + gone === 0) return;
    const message = `the audit log has ${unreadable} unreadable and ${gone} missing entries: this is not all that was written`;
    const remedy = "'consilium-agent audit verify' says where it was changed";
    throw new CommandFailed(new ConsiliumError("digest-mismatch", message, { remedy }), exitCodes.refused);
  }
}
