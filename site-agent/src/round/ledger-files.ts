import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { writeFileDurably } from "../durable-file.js";
import type { LedgerStorage } from "../secagg/attempt-ledger.js";

/** Keeps each run's ledger of attempts as a file of its own. They are small, and are never removed. */
export function ledgerFiles(directory: string): LedgerStorage {
  mkdirSync(directory, { recursive: true });
  const pathOf = (runId: string): string => join(directory, `${runId}.json`);
  return {
    read(runId) {
      try {
        return readFileSync(pathOf(runId), "utf8");
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw new ConsiliumError("storage", `the ledger of attempts of run ${runId} cannot be read`, { cause });
      }
    },
    write: (runId, text) => writeFileDurably(pathOf(runId), text),
  };
}
