import type { RoundKey } from "@consilium/shared/protocol.js";
import { KeyAdvert, SealedShares, type StageOutcome } from "@consilium/shared/rpc/gen/secagg.js";
import type { Outcome } from "../round/outcomes.js";
import type { RunStore } from "../store/run-store.js";

/** The answer to a site's call. Lists come from the stored messages, so a repeated call gets the same bytes. */
export function stageOutcome(
  store: RunStore,
  { key, siteId }: { key: RoundKey; siteId: string },
  outcome: Outcome,
): StageOutcome {
  switch (outcome.kind) {
    case "advertised":
      return advertised(store, key, outcome.advertisers);
    case "delivered":
      return delivered(store, { key, siteId }, outcome.sharers);
    case "survivors":
      return { outcome: { $case: "survivors", value: { sites: [...outcome.sites] } } };
    case "result": {
      const checkpointDigest = Buffer.from(outcome.checkpointDigest, "hex");
      return { outcome: { $case: "result", value: { key, cohort: [...outcome.cohort], checkpointDigest } } };
    }
    case "dropped":
      return { outcome: { $case: "dropped", value: { reason: outcome.reason } } };
    case "aborted":
      return aborted(outcome.reason);
  }
}

function aborted(reason: string): StageOutcome {
  return { outcome: { $case: "aborted", value: { reason } } };
}

function advertised(store: RunStore, key: RoundKey, advertisers: readonly string[]): StageOutcome {
  const messages = store.listMessages(key, "advertise").filter(({ siteId }) => advertisers.includes(siteId));
  // The attempt ended between the decision and the answer, and its messages are erased.
  if (messages.length !== advertisers.length) return aborted("ended");
  return { outcome: { $case: "advertised", value: { adverts: messages.map(({ bytes }) => KeyAdvert.decode(bytes)) } } };
}

function delivered(
  store: RunStore,
  { key, siteId }: { key: RoundKey; siteId: string },
  sharers: readonly string[],
): StageOutcome {
  const messages = store.listMessages(key, "share").filter((message) => sharers.includes(message.siteId));
  if (messages.length !== sharers.length) return aborted("ended");
  const shares = messages
    .flatMap(({ bytes }) => SealedShares.decode(bytes).shares)
    .filter((share) => share.toSite === siteId);
  return { outcome: { $case: "delivered", value: { sharers: [...sharers], shares } } };
}
