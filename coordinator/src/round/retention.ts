import { asConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import type { AggregateStore } from "../checkpoint/aggregate-store.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import type { RunStore } from "../store/run-store.js";
import type { UploadSpool } from "../store/upload-spool.js";
import type { MessageCodec } from "./ports.js";
import { committedRounds } from "./progress.js";
import { sumsOf } from "./results.js";

/** What a run leaves on the disk, and for how long. */
export interface Kept {
  readonly store: RunStore;
  readonly codec: MessageCodec;
  readonly checkpoints: CheckpointStore;
  readonly aggregates: AggregateStore;
  readonly log: Logger;
  /** Rounds whose checkpoints are kept, besides the run's first. */
  readonly keepCheckpoints: number | "all";
  /** Rounds of a run that is not completed whose sums are kept, for sites that join later. */
  readonly keepAggregates: number | "all";
}

/** What the sites sent is of no use once an attempt is over. */
export function forgetMessages(
  { store, spool, log }: Pick<Kept, "store" | "log"> & { readonly spool: UploadSpool },
  key: RoundKey,
): void {
  store.eraseMessages(key);
  try {
    spool.erase(key);
  } catch (thrown) {
    // A stream that is just beginning may put a file back; the next start sweeps it up.
    log.warn("uploads-not-erased", { runId: key.runId, reason: asConsiliumError(thrown).message });
  }
}

/** Removes what is kept no longer now that a round is committed. What cannot be removed does no harm. */
export function pruneAfter(kept: Kept, { runId, round }: RoundKey): void {
  const { store, codec, checkpoints, aggregates, log } = kept;
  const failed = (thrown: unknown) =>
    log.warn("files-not-removed", { runId, reason: asConsiliumError(thrown).message });
  const checkpoint = outdatedAt(round, kept.keepCheckpoints);
  const record = committedRounds(store, runId).find((committed) => committed.round === checkpoint);
  if (record !== undefined) checkpoints.remove(record.checkpointDigest).catch(failed);
  aggregates.remove(sumsOf(store, codec, { runId, round: outdatedAt(round, kept.keepAggregates) })).catch(failed);
}

/** The round that is kept no longer; 0 for none. */
function outdatedAt(round: number, keep: number | "all"): number {
  return keep === "all" ? 0 : Math.max(0, round - keep);
}

/** The sums of a completed run are of use to nobody; any other run may be resumed, with sites that join later. */
export function removeSums({ store, codec, aggregates, log }: Kept, runId: string): void {
  if (store.findRun(runId)?.status !== "completed") return;
  aggregates.remove(sumsOf(store, codec, { runId })).catch((thrown: unknown) => {
    log.warn("files-not-removed", { runId, reason: asConsiliumError(thrown).message });
  });
}
