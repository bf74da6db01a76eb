import { AttemptLedger } from "@consilium/site-agent/secagg/attempt-ledger.js";

/** A site's ledger of attempts that lasts as long as `records`; a second one over the same is the site after a restart. */
export function memoryLedger(records: Map<string, string> = new Map()): AttemptLedger {
  return new AttemptLedger({
    read: (runId) => records.get(runId),
    write: (runId, text) => void records.set(runId, text),
  });
}
