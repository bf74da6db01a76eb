import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { CommittedRound, RoundPlan, type RoundKey as WireKey } from "@consilium/shared/rpc/gen/federation.js";
import {
  Advertisement,
  Confirmation,
  Reveals,
  SealedShares,
  type SiteMessage,
} from "@consilium/shared/rpc/gen/secagg.js";
import type { MessageCodec } from "../round/ports.js";
import type { Submission } from "../round/submissions.js";

/** Between the wire and the words of `shared/protocol.ts`. */

export const codec: MessageCodec = {
  encodePlan: (plan) =>
    RoundPlan.encode({
      ...plan,
      ...buffersOf(plan),
      tensorClips: [...plan.tensorClips],
      lanes: [...plan.lanes],
      auditWitnesses: (plan.auditWitnesses ?? []).map(({ siteId, head }) => ({ siteId, head: Buffer.from(head) })),
    }).finish(),
  decodePlan: (body) => {
    const plan = RoundPlan.decode(body);
    return { ...plan, key: requireKey(plan.key) };
  },
  encodeResult: (result) =>
    CommittedRound.encode({
      ...result,
      ...buffersOf(result),
      ...{ tensorClips: [...result.tensorClips], lanes: [...result.lanes], cohort: [...result.cohort] },
    }).finish(),
  decodeResult: (body) => {
    const result = CommittedRound.decode(body);
    return { ...result, key: requireKey(result.key) };
  },
  decodeAdvert: (bytes) => {
    const { advert, aborts } = Advertisement.decode(bytes);
    if (advert === undefined) throw new ConsiliumError("update-invalid", "an advertisement holds no keys");
    return { advert, aborts };
  },
  decodeShares: (bytes) => SealedShares.decode(bytes),
  decodeConfirmation: (bytes) => Confirmation.decode(bytes).signature,
  decodeReveals: (bytes) =>
    Reveals.decode(bytes).reveals.map(({ aboutSite, share }) => ({ aboutSite, share: requireShare(share) })),
};

type Digests<Message> = { [Name in keyof Message as Message[Name] extends Uint8Array ? Name : never]: Buffer };

/** The message's binary fields as the generated code wants them. */
function buffersOf<Message extends object>(message: Message): Digests<Message> {
  const binary = Object.entries(message).filter(([, value]) => value instanceof Uint8Array);
  return Object.fromEntries(binary.map(([name, value]) => [name, Buffer.from(value)])) as Digests<Message>;
}

function requireShare<Share>(share: Share | undefined): Share {
  if (share !== undefined) return share;
  throw new ConsiliumError("update-invalid", "a reveal holds no share");
}

const largestCount = 2 ** 31;

/** @throws ConsiliumError "stale" for a message that names no round. */
export function requireKey(key: WireKey | undefined): RoundKey {
  const fits =
    key !== undefined && key.runId.length <= 100 && key.round >= 1 && key.attempt >= 1 && key.round < largestCount;
  if (fits) return { runId: key.runId, round: key.round, attempt: key.attempt };
  throw new ConsiliumError("stale", "the message names no round", { remedy: "update the agent" });
}

/** The stage and its message, encoded anew: unknown fields and other encodings of the same message make no difference. */
export function stageMessage(message: SiteMessage): Pick<Submission, "stage" | "bytes"> {
  switch (message.stage?.$case) {
    case "advertise":
      return { stage: "advertise", bytes: Advertisement.encode(message.stage.value).finish() };
    case "share":
      return { stage: "share", bytes: SealedShares.encode(message.stage.value).finish() };
    case "confirm":
      return { stage: "confirm", bytes: Confirmation.encode(message.stage.value).finish() };
    case "unmask":
      return { stage: "unmask", bytes: Reveals.encode(message.stage.value).finish() };
    default:
      throw new ConsiliumError("update-invalid", "the message holds no stage", { remedy: "update the agent" });
  }
}
