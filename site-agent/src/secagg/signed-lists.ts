import { verifyIdentity } from "@consilium/shared/identity/identity-key.js";
import type { Delivered, SealedShare, SignedRoot, SignedUpload, SiteSignature } from "@consilium/shared/protocol.js";
import { rootAlong } from "@consilium/shared/secagg/merkle.js";
import { compareSiteIds, requireFloor, sameBytes } from "@consilium/shared/secagg/protocol.js";
import {
  type SharedBinding,
  shareLeaf,
  shareSignatureInput,
  survivorsSignatureInput,
  uploadSignatureInput,
} from "@consilium/shared/secagg/transcript.js";
import { type Advertisers, advertOf, requireNeighbours } from "./advertisers.js";
import { requirePeers } from "./members.js";
import { contradiction, ProtocolRefusal } from "./refusal.js";

/** The later lists of an attempt, as this site checks them: U2 with what was shared, U3 with what was uploaded, and who confirmed U3. */

interface Within {
  readonly earlier: readonly string[];
  readonly self: string;
}

/** @throws ProtocolRefusal unless the list is within the earlier one, without repeats, and has this site in it */
function requireSubset(stage: "share" | "upload", sites: readonly string[], { earlier, self }: Within): void {
  const known = new Set(earlier);
  const stranger = sites.find((site) => !known.has(site));
  // site-check: subset-of-earlier
  if (stranger !== undefined)
    throw contradiction(
      "list-within",
      `${listOf(stage)} names ${JSON.stringify(stranger)}, which was not there before`,
    );
  // site-check: subset-distinct
  if (new Set(sites).size !== sites.length)
    throw contradiction("list-without-repeats", `${listOf(stage)} names a site twice`);
  // site-check: subset-self
  if (!sites.includes(self)) throw new ProtocolRefusal("list-with-self", `${listOf(stage)} leaves this site out`);
}

const listOf = (stage: string): string => `the list of sites after stage ${stage}`;

function badShare(siteId: string, check: string, reason: string): ProtocolRefusal {
  const remedy = `the attempt ends here; the next one should leave out ${siteId} if this repeats`;
  return new ProtocolRefusal(check, `what site ${siteId} shared ${reason}`, { code: "share-invalid", remedy });
}

function requireSignedRoots(advertisers: Advertisers, sharers: readonly SignedRoot[]): void {
  for (const { siteId, root, signature } of sharers) {
    const text = shareSignatureInput(advertisers.binding, siteId, root);
    const { identityPublicKey } = advertOf(advertisers, siteId);
    if (!verifyIdentity(identityPublicKey, text, signature))
      throw badShare(siteId, "roots-signed", "is not signed by it");
  }
}

/** @throws ProtocolRefusal unless each share is the one that its author signed for this site */
function requireProvenShares(advertisers: Advertisers, self: string, { sharers, shares }: Delivered): void {
  const roots = new Map(sharers.map(({ siteId, root }) => [siteId, root]));
  for (const share of shares) {
    const root = roots.get(share.fromSite);
    if (root === undefined || !isUnder(root, advertisers, self, share)) {
      throw badShare(share.fromSite, "share-proven", "is not under its signed root");
    }
  }
}

function isUnder(root: Uint8Array, advertisers: Advertisers, self: string, share: SealedShare): boolean {
  const recipients = advertisers.neighbourhoods.neighboursOf(share.fromSite);
  const place = { index: recipients.indexOf(self), count: recipients.length };
  const reached = rootAlong(shareLeaf(share), place, share.path);
  return reached !== undefined && sameBytes(reached, root);
}

function requireOwnRoot(own: SignedRoot, sharers: readonly SignedRoot[]): void {
  const listed = sharers.find(({ siteId }) => siteId === own.siteId);
  if (listed !== undefined && sameBytes(listed.root, own.root) && sameBytes(listed.signature, own.signature)) return;
  throw contradiction("own-root", "the delivery of shares changes what this site shared");
}

/**
 * U2, sorted.
 * @throws ConsiliumError "message-conflict", "policy-refused" below the floor, "share-invalid" naming an author
 */
export function verifySharers(
  { advertisers, own }: { advertisers: Advertisers; own: SignedRoot },
  delivered: Delivered,
): string[] {
  const sites = delivered.sharers.map(({ siteId }) => siteId);
  const earlier = advertisers.adverts.map(({ siteId }) => siteId);
  requireSubset("share", sites, { earlier, self: own.siteId });
  // site-check: sharers-floor
  requireFloor("share", sites.length, advertisers.floors);
  // site-check: sharers-neighbours
  requireNeighbours(advertisers, own.siteId, sites);
  // site-check: sharers-required-peers
  requirePeers("share", delivered.sharers, advertisers.requiredPeers);
  // site-check: own-root
  requireOwnRoot(own, delivered.sharers);
  // site-check: roots-signed
  requireSignedRoots(advertisers, delivered.sharers);
  // site-check: shares-proven
  requireProvenShares(advertisers, own.siteId, delivered);
  return sites.sort(compareSiteIds);
}

/** What this site knows when it is shown the survivors. */
export interface UploadedFacts {
  readonly advertisers: Advertisers;
  readonly binding: SharedBinding;
  /** U2 */
  readonly sharers: readonly string[];
  readonly own: SignedUpload;
  /** 32-bit words of every upload. */
  readonly words: number;
}

function requireSignedUploads({ advertisers, binding, words }: UploadedFacts, uploads: readonly SignedUpload[]): void {
  for (const { siteId, sha256, signature } of uploads) {
    const text = uploadSignatureInput(binding, siteId, { sha256, words });
    if (verifyIdentity(advertOf(advertisers, siteId).identityPublicKey, text, signature)) continue;
    throw contradiction("uploads-signed", `the upload that the list has for site ${siteId} is not signed by it`);
  }
}

function requireOwnUpload(own: SignedUpload, uploads: readonly SignedUpload[]): void {
  const listed = uploads.find(({ siteId }) => siteId === own.siteId);
  if (listed !== undefined && sameBytes(listed.sha256, own.sha256) && sameBytes(listed.signature, own.signature))
    return;
  throw contradiction("own-upload", "the list of survivors changes what this site uploaded");
}

/**
 * U3, sorted.
 * @throws ConsiliumError "message-conflict", or "policy-refused" below the floor
 */
export function verifySurvivors(facts: UploadedFacts, uploads: readonly SignedUpload[]): string[] {
  const { advertisers, sharers, own } = facts;
  const sites = uploads.map(({ siteId }) => siteId);
  requireSubset("upload", sites, { earlier: sharers, self: own.siteId });
  // site-check: survivors-floor
  requireFloor("unmask", sites.length, advertisers.floors);
  // site-check: survivors-neighbours
  requireNeighbours(advertisers, own.siteId, sites);
  // site-check: survivors-required-peers
  requirePeers("unmask", uploads, advertisers.requiredPeers);
  // site-check: own-upload
  requireOwnUpload(own, uploads);
  // site-check: uploads-signed
  requireSignedUploads(facts, uploads);
  return sites.sort(compareSiteIds);
}

/** @throws ProtocolRefusal unless at least the threshold of survivors signed, once each, the very list that this site signed */
export function requireConfirmed(
  { advertisers, binding }: Pick<UploadedFacts, "advertisers" | "binding">,
  { survivors, digest }: { readonly survivors: readonly string[]; readonly digest: Uint8Array },
  signatures: readonly SiteSignature[],
): void {
  const listed = new Set(survivors);
  const stranger = signatures.find(({ siteId }) => !listed.has(siteId));
  // site-check: confirmed-by-survivors
  if (stranger !== undefined)
    throw contradiction("confirmed-by-survivors", `${JSON.stringify(stranger.siteId)} is no survivor`);
  // Before any signature is looked at: a list without end would cost time without end.
  // site-check: confirmations-distinct
  if (new Set(signatures.map(({ siteId }) => siteId)).size !== signatures.length)
    throw contradiction("confirmations-distinct", "the list of confirmations names a site twice");
  const text = survivorsSignatureInput(binding, digest);
  for (const { siteId, signature } of signatures) {
    const holds = verifyIdentity(advertOf(advertisers, siteId).identityPublicKey, text, signature);
    // site-check: confirmations-signed
    if (!holds) throw contradiction("confirmations-signed", `site ${siteId} did not sign these survivors`);
  }
  if (signatures.length >= advertisers.threshold) return;
  const message = `${signatures.length} sites confirmed the survivors; ${advertisers.threshold} are needed`;
  throw new ProtocolRefusal("confirmations-enough", message);
}
