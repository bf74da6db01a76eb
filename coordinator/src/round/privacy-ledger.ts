import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { type LedgerEntry, openLedger, spent } from "@consilium/shared/privacy/ledger.js";
import { orderGridVersion } from "@consilium/shared/privacy/rdp.js";
import { siteBudget, siteMechanism } from "@consilium/shared/privacy/site-mechanism.js";
import { roundKeyText } from "@consilium/shared/protocol.js";
import type { RunStore } from "../store/run-store.js";
import type { RoundState } from "./state.js";

/**
 * What a run that hides sites has spent. An attempt is charged in the very write that opens its upload stage, so no
 * upload is asked for that is not on the disk, and lost attempts stay charged. What was done is kept and ε worked out
 * from it.
 */

export interface PrivateRunFacts {
  readonly runId: string;
  readonly config: RunConfig;
  /** Parameters of the checkpoint. */
  readonly dimension: number;
}

function entryOf({ config, dimension }: Omit<PrivateRunFacts, "runId">, id: string): LedgerEntry | undefined {
  const { privacy } = config;
  if (privacy.mode !== "site") return undefined;
  const mechanism = siteMechanism(config, privacy, dimension);
  return { ...mechanism, id, mechanism: "skellam", orderGrid: orderGridVersion, steps: 1 };
}

/** What opening the upload stage costs, as the store keeps it; undefined for every other step and every other run. */
export function releaseOf(
  facts: Omit<PrivateRunFacts, "runId">,
  { before, after }: { readonly before: RoundState; readonly after: RoundState },
): string | undefined {
  if (before.kind === "uploading" || after.kind !== "uploading") return undefined;
  const entry = entryOf(facts, roundKeyText(after.key));
  return entry === undefined ? undefined : JSON.stringify(entry);
}

/** What the releases of a run have cost so far, and would with one more; undefined for a run that does not hide sites. */
export function privacySpent(
  store: Pick<RunStore, "listReleases">,
  facts: PrivateRunFacts,
): { readonly budget: number; readonly epsilon: number; readonly withNext: number } | undefined {
  const { runId, config, dimension } = facts;
  const { privacy } = config;
  const next = entryOf(facts, "the-next-round");
  if (privacy.mode !== "site" || next === undefined) return undefined;
  const epsilon = siteBudget(config, privacy, dimension);
  const { budget } = openLedger({ dataSet: runId, unit: "site", budget: { epsilon, delta: privacy.delta } });
  const entries = store.listReleases(runId).map((json) => JSON.parse(json) as LedgerEntry);
  const costOf = (all: readonly LedgerEntry[]) => spent({ budget, entries: all }).epsilon;
  return { budget: epsilon, epsilon: costOf(entries), withNext: costOf([...entries, next]) };
}

/** Why a run may not begin another attempt; undefined: it may. */
export function budgetObjection(store: Pick<RunStore, "listReleases">, facts: PrivateRunFacts): string | undefined {
  const known = privacySpent(store, facts);
  if (known === undefined || known.withNext <= known.budget) return undefined;
  const [now, next] = [known.epsilon.toFixed(3), known.withNext.toFixed(3)];
  return `the privacy budget is spent: ε is ${now}, another round would make it ${next}, and the run may spend ${known.budget}; lost attempts count`;
}
