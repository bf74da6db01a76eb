import { abortsNeeded } from "@consilium/shared/secagg/protocol.js";
import type { RoundState, RunningState, StoredAbort } from "./state.js";

/**
 * What sites hold against later sums of a round whose attempt was lost: specification 1.5, "Abort certificate and attempt
 * ledger". The coordinator keeps to it because sites refuse whatever does not, and each refusal costs an attempt.
 */

/** An attempt at the round that was lost after sites had uploaded, or might have. Lists are sorted. */
export interface LostAttempt {
  readonly attempt: number;
  /** U1 */
  readonly advertisers: readonly string[];
  /** U2: whoever may have uploaded. */
  readonly sharers: readonly string[];
  /** U3: whoever may have confirmed; empty where no site was shown any. */
  readonly survivors: readonly string[];
  /** Survivors that are known to have confirmed. The others may have: what they sent can be lost. */
  readonly confirmed: readonly string[];
}

/** What an attempt that ends here leaves behind; undefined where nobody can have uploaded. */
export function lostBy(state: RoundState): LostAttempt | undefined {
  if (!("sharers" in state)) return undefined;
  const { key, advertisers, sharers, members } = state;
  const survivors = "survivors" in state ? state.survivors : [];
  const signers = "signers" in state ? state.signers : [];
  const hasConfirmed = (site: string) => {
    const kind = members[site]?.status.kind;
    return signers.includes(site) || kind === "confirmed" || kind === "unmasked";
  };
  return { attempt: key.attempt, advertisers, sharers, survivors, confirmed: survivors.filter(hasConfirmed) };
}

/** A site that enters a later attempt signs that it gave up each earlier one, except those in which it confirmed. */
export function learnFromAdvert(
  lost: readonly LostAttempt[],
  siteId: string,
  aborts: readonly StoredAbort[],
): readonly LostAttempt[] {
  return lost.map((one) => {
    const mayHaveConfirmed = one.survivors.includes(siteId) && !one.confirmed.includes(siteId);
    if (!mayHaveConfirmed || aborts.some(({ attempt }) => attempt === one.attempt)) return one;
    return { ...one, confirmed: [...one.confirmed, siteId].sort() };
  });
}

/** What limits the next sum of a round. */
export interface Bounds {
  /** Lost attempts whose survivors may still have been summed in secret. */
  readonly unproven: readonly LostAttempt[];
  /** Sites that take part in no sum until such an attempt is proven to be over: they uploaded, and confirmed nothing. */
  readonly refusing: ReadonlySet<string>;
}

export type Past = Pick<RunningState, "lostAttempts" | "aborts"> & {
  readonly rules: Pick<RunningState["rules"], "colluders">;
};

/** @param mayAbort sites that, for all that is known, sign that they gave up the lost attempts when they advertise */
export function boundsOn({ lostAttempts, aborts, rules }: Past, mayAbort: readonly string[]): Bounds {
  const saidOf = ({ attempt }: LostAttempt) => {
    return new Set(aborts.filter((abort) => abort.attempt === attempt).map(({ siteId }) => siteId));
  };
  const unproven = lostAttempts.filter((lost) => {
    const said = saidOf(lost);
    const gaveUp = lost.advertisers.filter((site) => {
      return said.has(site) || (mayAbort.includes(site) && !lost.confirmed.includes(site));
    });
    return gaveUp.length < abortsNeeded(lost.advertisers.length, rules.colluders);
  });
  const refusing = unproven.flatMap((lost) => {
    const said = saidOf(lost);
    return lost.sharers.filter((site) => said.has(site) || !lost.survivors.includes(site));
  });
  return { unproven, refusing: new Set(refusing) };
}
