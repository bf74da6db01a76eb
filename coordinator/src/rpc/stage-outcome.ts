import type { RoundKey } from "@consilium/shared/protocol.js";
import { Advertisement, Confirmation, SealedShares, type StageOutcome } from "@consilium/shared/rpc/gen/secagg.js";
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
      return advertised(store, key, outcome);
    case "delivered":
      return delivered(store, { key, siteId }, outcome.sharers);
    case "survivors":
      return survivors(store, key, outcome.sites);
    case "confirmed":
      return confirmed(store, key, outcome.signers);
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

type Advertised = Extract<Outcome, { kind: "advertised" }>;

function advertised(store: RunStore, key: RoundKey, { advertisers, aborts }: Advertised): StageOutcome {
  const messages = store.listMessages(key, "advertise").filter(({ siteId }) => advertisers.includes(siteId));
  // The attempt ended between the decision and the answer, and its messages are erased.
  if (messages.length !== advertisers.length) return aborted("ended");
  const adverts = messages.map(({ bytes }) => Advertisement.decode(bytes).advert!);
  const statements = aborts.map((abort) => ({ ...abort, signature: Buffer.from(abort.signature, "hex") }));
  return { outcome: { $case: "advertised", value: { adverts, aborts: statements } } };
}

function delivered(
  store: RunStore,
  { key, siteId }: { key: RoundKey; siteId: string },
  sharers: readonly string[],
): StageOutcome {
  const messages = store.listMessages(key, "share").filter((message) => sharers.includes(message.siteId));
  if (messages.length !== sharers.length) return aborted("ended");
  const sealed = messages.map((message) => ({ siteId: message.siteId, ...SealedShares.decode(message.bytes) }));
  const roots = sealed.map(({ siteId: from, root, signature }) => ({ siteId: from, root, signature }));
  const shares = sealed.flatMap((one) => one.shares.filter((share) => share.toSite === siteId));
  return { outcome: { $case: "delivered", value: { sharers: roots, shares } } };
}

function survivors(store: RunStore, key: RoundKey, sites: readonly string[]): StageOutcome {
  const uploads = store.listUploads(key).filter(({ siteId }) => sites.includes(siteId));
  if (uploads.length !== sites.length) return aborted("ended");
  const signed = uploads.map(({ siteId, sha256, signature }) => {
    return { siteId, sha256: Buffer.from(sha256), signature: Buffer.from(signature) };
  });
  return { outcome: { $case: "survivors", value: { uploads: signed } } };
}

function confirmed(store: RunStore, key: RoundKey, signers: readonly string[]): StageOutcome {
  const messages = store.listMessages(key, "confirm").filter(({ siteId }) => signers.includes(siteId));
  if (messages.length !== signers.length) return aborted("ended");
  const signatures = messages.map(({ siteId, bytes }) => {
    return { siteId, signature: Confirmation.decode(bytes).signature };
  });
  return { outcome: { $case: "confirmed", value: { signatures } } };
}
