import { ConsiliumError } from "@consilium/shared/errors.js";
import { verifyIdentity } from "@consilium/shared/identity/identity-key.js";
import {
  type AbortStatement,
  type DropReason,
  type KeyAdvert,
  planContext,
  type Reveal,
  type SealedShare,
  type SealedShares,
} from "@consilium/shared/protocol.js";
import { verifyAdvert } from "@consilium/shared/secagg/adverts.js";
import type { AttemptBinding } from "@consilium/shared/secagg/key-agreement.js";
import { rootAlong } from "@consilium/shared/secagg/merkle.js";
import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import { abortSignatureInput, shareLeaf, shareSignatureInput } from "@consilium/shared/secagg/transcript.js";
import { faultIn, type Revelation } from "../secagg/collect-shares.js";

/** What is wrong with a site's message, and what the site is dropped for. */
export class MessageFault extends ConsiliumError {
  readonly reason: DropReason;

  constructor(siteId: string, reason: DropReason, text: string) {
    super("update-invalid", `the message of site ${siteId} is refused: ${text}`, {
      remedy: "the site leaves this round; an agent that repeats this should be updated or looked at",
    });
    this.reason = reason;
  }
}

/** A sealed pair of shares takes about 120 bytes. */
const maxSealedBytes = 512;

export interface AdvertFacts {
  readonly planBody: Uint8Array;
  readonly enrolledKey: Uint8Array;
  /** Those that are here already. */
  readonly others: readonly KeyAdvert[];
}

/** @throws MessageFault unless the advert is the site's own, fresh, and signed by its enrolled identity key. */
export function checkAdvert(siteId: string, advert: KeyAdvert, { planBody, enrolledKey, others }: AdvertFacts): void {
  if (advert.siteId !== siteId || !sameBytes(advert.identityPublicKey, enrolledKey)) {
    throw new MessageFault(siteId, "bad-signature", "the advert names another site or identity key");
  }
  try {
    verifyAdvert(planContext(planBody), advert);
  } catch {
    throw new MessageFault(siteId, "bad-signature", "the advert's signature does not hold");
  }
  const keysOf = (of: KeyAdvert) => [of.maskPublicKey, of.sealPublicKey, of.selfCommitment];
  const taken = others.filter((other) => other.siteId !== siteId).flatMap(keysOf);
  if (keysOf(advert).some((key) => taken.some((other) => sameBytes(key, other)))) {
    throw new MessageFault(siteId, "bad-message", "the advert repeats a key of another site");
  }
}

/**
 * Before a signature is verified: a list as long as a message may be would take the coordinator's time, and every site's
 * answer would carry it.
 * @param takenPart whether the site is known to have taken part in an earlier attempt; its advert there may have been lost
 * @throws MessageFault unless there is at most one statement, the site's own, about each earlier attempt that it was in
 */
export function checkAbortList(
  { siteId, attempt: current }: { readonly siteId: string; readonly attempt: number },
  aborts: readonly AbortStatement[],
  takenPart: (attempt: number) => boolean,
): void {
  const fault = (text: string) => new MessageFault(siteId, "bad-message", text);
  const about = new Set<number>();
  for (const { siteId: signer, attempt } of aborts) {
    if (signer !== siteId) throw fault("it gives word for another site");
    if (about.has(attempt)) throw fault(`its word about attempt ${attempt} is there twice`);
    if (attempt >= current || !takenPart(attempt)) throw fault(`it was in no earlier attempt ${attempt}`);
    about.add(attempt);
  }
}

/**
 * @param contextOf ctx of an attempt at the round; undefined for one that never was
 * @throws MessageFault unless the site's identity key signed each of its statements
 */
export function checkAborts(
  { siteId, enrolledKey }: { readonly siteId: string; readonly enrolledKey: Uint8Array },
  aborts: readonly AbortStatement[],
  contextOf: (attempt: number) => Uint8Array | undefined,
): void {
  for (const { attempt, signature } of aborts) {
    const context = contextOf(attempt);
    if (context !== undefined && verifyIdentity(enrolledKey, abortSignatureInput(context), signature)) continue;
    throw new MessageFault(siteId, "bad-signature", `its word about attempt ${attempt} is not signed by it`);
  }
}

/** @throws MessageFault unless the site's identity key signed the text. */
export function checkSignature(
  { siteId, enrolledKey }: { readonly siteId: string; readonly enrolledKey: Uint8Array },
  text: Uint8Array,
  signature: Uint8Array,
): void {
  if (verifyIdentity(enrolledKey, text, signature)) return;
  throw new MessageFault(siteId, "bad-signature", "its signature does not hold");
}

export interface SharesFacts {
  /** The site's neighbours, sorted. */
  readonly neighbours: readonly string[];
  readonly binding: AttemptBinding;
  readonly enrolledKey: Uint8Array;
}

/** @throws MessageFault unless there is one sealed share for each neighbour, all under the root that the site signed. */
export function checkShares(siteId: string, sealed: SealedShares, facts: SharesFacts): void {
  const { neighbours: expected, binding, enrolledKey } = facts;
  requireEveryShare(siteId, sealed.shares, expected);
  checkSignature({ siteId, enrolledKey }, shareSignatureInput(binding, siteId, sealed.root), sealed.signature);
  for (const share of sealed.shares) {
    const place = { index: expected.indexOf(share.toSite), count: expected.length };
    const reached = rootAlong(shareLeaf(share), place, share.path);
    if (reached === undefined || !sameBytes(reached, sealed.root)) {
      throw new MessageFault(siteId, "bad-share", `the share for site ${share.toSite} is not under the signed root`);
    }
  }
}

function requireEveryShare(siteId: string, shares: readonly SealedShare[], expected: readonly string[]): void {
  const addressed = new Set(shares.map((share) => share.toSite));
  const fits =
    shares.length === expected.length &&
    expected.every((site) => addressed.has(site)) &&
    shares.every((share) => share.fromSite === siteId && share.ciphertext.length <= maxSealedBytes);
  if (!fits) throw new MessageFault(siteId, "bad-share", "not one sealed share for every neighbour");
}

/** @throws MessageFault unless there is one share of the right kind about every sharer that the site holds shares of. */
export function checkReveals(
  siteId: string,
  reveals: readonly Reveal[],
  facts: Pick<Revelation, "sharers" | "survivors" | "neighbourhoods">,
): void {
  const fault = faultIn({ fromSite: siteId, reveals }, facts, new Set(facts.survivors));
  if (fault !== undefined) throw new MessageFault(siteId, "bad-share", fault);
}
