import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  charge,
  type LedgerEntry,
  openLedger,
  type PrivacyBudget,
  type PrivacyLedger,
  parseLedger,
  serializeLedger,
  withBudget,
} from "@consilium/shared/privacy/ledger.js";
import { storageError, writeFileDurably } from "../durable-file.js";

/** The ledgers of a site, one file for each data set. They are read anew each time and replaced as a whole. */
export class LedgerStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * The history under the budget that the policy has now; an empty one where nothing was charged yet.
   * @throws ConsiliumError "input-unreadable" for a damaged ledger: a new one would forget what is spent
   */
  read(dataSet: string, budget: PrivacyBudget, unit: PrivacyLedger["unit"] = "patient"): PrivacyLedger {
    const path = this.#path(dataSet);
    if (!existsSync(path)) return openLedger({ dataSet, unit, budget });
    return withBudget(parseLedger(readFileSync(path, "utf8").trimEnd()), budget);
  }

  /**
   * Adds a release; on the disk when this returns.
   * @throws ConsiliumError "policy-refused" over the budget, "storage", "input-unreadable"
   */
  charge(ledger: PrivacyLedger, entry: LedgerEntry): PrivacyLedger {
    const after = charge(ledger, entry);
    const path = this.#path(ledger.dataSet);
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileDurably(path, `${serializeLedger(after)}\n`);
    } catch (cause) {
      throw storageError(path, cause);
    }
    return after;
  }

  /** Every ledger. @throws ConsiliumError "input-unreadable" for a damaged one */
  all(): PrivacyLedger[] {
    if (!existsSync(this.#directory)) return [];
    const names = readdirSync(this.#directory).filter((name) => name.endsWith(".json"));
    return names.sort().map((name) => parseLedger(readFileSync(join(this.#directory, name), "utf8").trimEnd()));
  }

  #path(dataSet: string): string {
    return join(this.#directory, `${dataSet}.json`);
  }
}
