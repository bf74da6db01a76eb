import { createHash } from "node:crypto";
import { ConsiliumError } from "../errors.js";
import { verifyIdentity } from "../identity/identity-key.js";
import type { KeyAdvert } from "../protocol.js";
import { agree, agreementKey } from "./key-agreement.js";
import { compareSiteIds, isSiteId, Label, lengthPrefixed, sameBytes, secretBytes } from "./protocol.js";

/** A site's long-lived Ed25519 key. `publicKey` is raw, 32 bytes. */
export interface IdentityKey {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export type UnsignedAdvert = Omit<KeyAdvert, "signature">;

const signatureBytes = 64;
/** Any secret shows whether a public key is of low order; nothing depends on this one. */
const probe = agreementKey(new Uint8Array(secretBytes).fill(8));

/**
 * Site id, mask key, seal key, commitment, nonce, identity key: each after its length as a big-endian 32-bit integer.
 */
export function canonicalAdvert(advert: UnsignedAdvert): Buffer {
  const fields = [
    Buffer.from(advert.siteId),
    advert.maskPublicKey,
    advert.sealPublicKey,
    advert.selfCommitment,
    advert.nonce,
    advert.identityPublicKey,
  ];
  return Buffer.concat(fields.flatMap(lengthPrefixed));
}

/** What the identity key signs: "fsa1/advert" ‖ 0 ‖ ctx ‖ canonical advert. */
export function advertSignatureInput(context: Uint8Array, advert: UnsignedAdvert): Buffer {
  return Buffer.concat([Buffer.from(`${Label.advert}\0`), context, canonicalAdvert(advert)]);
}

export function signAdvert(
  context: Uint8Array,
  fields: Omit<UnsignedAdvert, "identityPublicKey">,
  identity: IdentityKey,
): KeyAdvert {
  const unsigned = { ...fields, identityPublicKey: identity.publicKey };
  return { ...unsigned, signature: identity.sign(advertSignatureInput(context, unsigned)) };
}

function signatureHolds(context: Uint8Array, advert: KeyAdvert): boolean {
  return verifyIdentity(advert.identityPublicKey, advertSignatureInput(context, advert), advert.signature);
}

function badAdvert(siteId: string, reason: string): ConsiliumError {
  return new ConsiliumError("share-invalid", `the key advert of site ${JSON.stringify(siteId)} ${reason}`, {
    remedy: "the attempt ends here; a site that repeats this should be looked at by its administrator",
  });
}

/**
 * Checks form and signature of one advert for the attempt with this context. Whether the identity key is the enrolled
 * one is for the caller to compare.
 * @throws ConsiliumError "share-invalid" naming the site
 */
export function verifyAdvert(context: Uint8Array, advert: KeyAdvert): void {
  // site-check: advert-site-id
  if (!isSiteId(advert.siteId)) throw badAdvert(advert.siteId, "has an invalid site id");
  const keys = [
    advert.maskPublicKey,
    advert.sealPublicKey,
    advert.selfCommitment,
    advert.nonce,
    advert.identityPublicKey,
  ];
  // site-check: advert-lengths
  if (keys.some((key) => key.length !== secretBytes) || advert.signature.length !== signatureBytes) {
    throw badAdvert(advert.siteId, "has a field of the wrong length");
  }
  // site-check: advert-signature
  if (!signatureHolds(context, advert)) throw badAdvert(advert.siteId, "is not signed by its identity key");
  // site-check: advert-usable-keys
  requireUsable(advert);
}

/** A key of low order gives the same secret with every other one: nobody can share with its owner, who would stop them all. */
function requireUsable({ siteId, maskPublicKey, sealPublicKey }: KeyAdvert): void {
  try {
    for (const key of [maskPublicKey, sealPublicKey]) agree(probe, key).fill(0);
  } catch {
    throw badAdvert(siteId, "holds an X25519 key that agrees with nobody");
  }
}

export function sortAdverts(adverts: readonly KeyAdvert[]): KeyAdvert[] {
  return [...adverts].sort((a, b) => compareSiteIds(a.siteId, b.siteId));
}

/**
 * Two sites with one key would be one site counted twice.
 * @throws ConsiliumError "share-invalid" naming the second one
 */
export function requireDistinct(adverts: readonly KeyAdvert[]): void {
  const seen = new Set<string>();
  for (const advert of adverts) {
    const keys = [advert.maskPublicKey, advert.sealPublicKey, advert.selfCommitment, advert.identityPublicKey];
    const names = [`site ${advert.siteId}`, ...keys.map((key) => Buffer.from(key).toString("hex"))];
    for (const name of names) {
      if (seen.has(name)) throw badAdvert(advert.siteId, "repeats an id or a key of another advert");
      seen.add(name);
    }
  }
}

/** @throws ConsiliumError "share-invalid" naming the first site whose advert it did not sign for this attempt */
export function requireSigned(context: Uint8Array, adverts: readonly KeyAdvert[]): void {
  for (const advert of adverts) verifyAdvert(context, advert);
}

/** h1 = SHA-256(L1), where L1 is for each sorted advert its canonical bytes and its signature after its length. */
export function advertsDigest(sorted: readonly KeyAdvert[]): Buffer {
  const hash = createHash("sha256");
  for (const advert of sorted) {
    hash.update(canonicalAdvert(advert));
    for (const part of lengthPrefixed(advert.signature)) hash.update(part);
  }
  return hash.digest();
}

export function sameAdvert(a: KeyAdvert, b: KeyAdvert): boolean {
  return sameBytes(canonicalAdvert(a), canonicalAdvert(b)) && sameBytes(a.signature, b.signature);
}
