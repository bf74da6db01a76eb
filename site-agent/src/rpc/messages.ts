import { ConsiliumError, unreachable } from "@consilium/shared/errors.js";
import type {
  Advertisement,
  KeyAdvert,
  ReceivedPlan,
  ReceivedResult,
  Reveal,
  RoundKey,
  RoundPlan,
  SealedShare,
  SealedShares,
} from "@consilium/shared/protocol.js";
import {
  RoundPlan as PlanMessage,
  CommittedRound as ResultMessage,
  type RoundKey as RoundKeyMessage,
  type SignedPlan,
  type SignedResult,
  SitePhase,
  type SiteReport as SiteReportMessage,
  type Withdrawal,
} from "@consilium/shared/rpc/gen/federation.js";
import type {
  Advertisement as AdvertisementMessage,
  KeyAdvert as KeyAdvertMessage,
  Reveal as RevealMessage,
  SealedShare as SealedShareMessage,
  SealedShares as SealedSharesMessage,
  SiteMessage,
  StageOutcome as StageOutcomeMessage,
} from "@consilium/shared/rpc/gen/secagg.js";
import type { SitePhase as Phase, SiteReport, StageMessage, StageOutcome } from "../round/coordinator.js";

/** Between what travels and what the round speaks of. A message that lacks what it must have is "plan-invalid". */

const phases: Readonly<Record<Phase, SitePhase>> = {
  fetching: SitePhase.FETCHING,
  training: SitePhase.TRAINING,
  masking: SitePhase.MASKING,
  done: SitePhase.DONE,
  refused: SitePhase.REFUSED,
  failed: SitePhase.FAILED,
};

/** @param auditHead hash of the newest checkpoint of the site's audit log, for the coordinator to witness */
export function reportMessage(
  siteId: string,
  report: SiteReport,
  auditHead: Uint8Array | undefined,
): SiteReportMessage {
  const { key, phase, code, clause, stepsDone, accused } = report;
  const witnessed = auditHead === undefined ? {} : { auditHead: toBuffer(auditHead) };
  return { key: { ...key }, siteId, phase: phases[phase], code, clause, stepsDone, accused, ...witnessed };
}

export function stageMessage(siteId: string, key: RoundKey, message: StageMessage): SiteMessage {
  return { key: { ...key }, siteId, stage: stageOf(message) };
}

function stageOf(message: StageMessage): SiteMessage["stage"] {
  switch (message.stage) {
    case "advertise":
      return { $case: "advertise", value: advertisementMessage(message.advertisement) };
    case "share":
      return { $case: "share", value: sealedSharesMessage(message.sealed) };
    case "confirm":
      return { $case: "confirm", value: { signature: toBuffer(message.signature) } };
    case "unmask":
      return { $case: "unmask", value: { reveals: message.reveals.map(revealMessage) } };
    default:
      return unreachable(message);
  }
}

function advertisementMessage({ advert, aborts }: Advertisement): AdvertisementMessage {
  const statements = aborts.map(({ siteId, attempt, signature }) => {
    return { siteId, attempt, signature: toBuffer(signature) };
  });
  return { advert: advertMessage(advert), aborts: statements };
}

function advertMessage(advert: KeyAdvert): KeyAdvertMessage {
  return {
    siteId: advert.siteId,
    maskPublicKey: toBuffer(advert.maskPublicKey),
    sealPublicKey: toBuffer(advert.sealPublicKey),
    selfCommitment: toBuffer(advert.selfCommitment),
    nonce: toBuffer(advert.nonce),
    signature: toBuffer(advert.signature),
    identityPublicKey: toBuffer(advert.identityPublicKey),
  };
}

function sealedSharesMessage({ shares, root, signature }: SealedShares): SealedSharesMessage {
  return { shares: shares.map(sealedShareMessage), root: toBuffer(root), signature: toBuffer(signature) };
}

function sealedShareMessage({ fromSite, toSite, ciphertext, path }: SealedShare): SealedShareMessage {
  return { fromSite, toSite, ciphertext: toBuffer(ciphertext), path: path.map(toBuffer) };
}

function revealMessage({ aboutSite, share }: Reveal): RevealMessage {
  return { aboutSite, share: { $case: share.$case, value: toBuffer(share.value) } };
}

/** The same bytes, without a copy. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The outcome of a stage of the attempt `key`. */
export function stageOutcome({ outcome }: StageOutcomeMessage, key: RoundKey): StageOutcome {
  switch (outcome?.$case) {
    case "advertised":
      return { kind: "advertised", advertised: outcome.value };
    case "delivered":
      return { kind: "delivered", delivered: outcome.value };
    case "survivors":
      return { kind: "survivors", uploads: outcome.value.uploads };
    case "confirmed":
      return { kind: "confirmed", signatures: outcome.value.signatures };
    case "result":
      return resultOf(outcome.value, key);
    case "dropped":
      return { kind: "dropped", reason: outcome.value.reason };
    case "aborted":
      return { kind: "aborted", reason: outcome.value.reason };
    case undefined:
      throw malformed("a stage outcome");
    default:
      return unreachable(outcome);
  }
}

function resultOf(
  result: { key: RoundKeyMessage | undefined; cohort: string[]; checkpointDigest: Buffer },
  key: RoundKey,
) {
  const about = requireKey(result.key, "a round result");
  if (about.runId !== key.runId || about.round !== key.round) throw malformed("a round result");
  return { kind: "result", cohort: result.cohort, checkpointDigest: result.checkpointDigest } as const;
}

export function withdrawalOf({ key, reason }: Withdrawal) {
  return { kind: "withdrawal", key: requireKey(key, "a withdrawal"), reason } as const;
}

/** Reads a plan whose signature holds. */
export function readPlan({ body, signature }: SignedPlan): ReceivedPlan {
  let message: PlanMessage;
  try {
    message = PlanMessage.decode(body);
  } catch (cause) {
    throw malformed("a plan", cause);
  }
  const plan: RoundPlan = { ...message, key: requireKey(message.key, "a plan") };
  return { plan, body, signature };
}

/** Reads a result whose signature holds. */
export function readResult({ body }: SignedResult): ReceivedResult {
  let message: ResultMessage;
  try {
    message = ResultMessage.decode(body);
  } catch (cause) {
    throw malformed("a round's result", cause);
  }
  return { result: { ...message, key: requireKey(message.key, "a round's result") }, body };
}

function requireKey(key: RoundKeyMessage | undefined, what: string): RoundKey {
  if (key === undefined) throw malformed(what);
  return key;
}

function malformed(what: string, cause?: unknown): ConsiliumError {
  return new ConsiliumError("plan-invalid", `the coordinator sent ${what} that cannot be read`, {
    remedy: "check that agent and coordinator have the same version",
    ...(cause === undefined ? {} : { cause }),
  });
}
