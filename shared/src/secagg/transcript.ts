import { createHash } from "node:crypto";
import type { SealedShare, SignedRoot, SignedUpload } from "../protocol.js";
import type { AttemptBinding } from "./key-agreement.js";
import { leafHash } from "./merkle.js";
import { compareSiteIds, Label, lengthPrefixed } from "./protocol.js";

/**
 * What sites sign in an attempt, and the digests of its lists: h1 in `adverts.ts`, h2 of the sharers, h3 of the
 * survivors. Every signed text is label ‖ 0 ‖ ctx ‖ fields; digests are 32 bytes, everything longer has its length.
 */

/** h1 and h2: the attempt up to the upload. */
export interface SharedBinding extends AttemptBinding {
  /** h2 */
  readonly sharersDigest: Uint8Array;
}

function signed(label: string, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(`${label}\0`), ...parts]);
}

const named = (siteId: string): Uint8Array[] => lengthPrefixed(Buffer.from(siteId));

/** The leaf that stands for a sealed share in its sender's tree. */
export function shareLeaf({ fromSite, toSite, ciphertext }: Pick<SealedShare, "fromSite" | "toSite" | "ciphertext">) {
  return leafHash(Buffer.concat([...named(fromSite), ...named(toSite), ciphertext]));
}

export function shareSignatureInput({ context, advertsDigest }: AttemptBinding, siteId: string, root: Uint8Array) {
  return signed(Label.share, context, advertsDigest, ...named(siteId), root);
}

export function uploadSignatureInput(
  { context, advertsDigest, sharersDigest }: SharedBinding,
  siteId: string,
  { sha256, words }: { readonly sha256: Uint8Array; readonly words: number },
): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(words));
  return signed(Label.upload, context, advertsDigest, sharersDigest, ...named(siteId), sha256, length);
}

/** @param survivorsHash h3 */
export function survivorsSignatureInput(
  { context, advertsDigest, sharersDigest }: SharedBinding,
  survivorsHash: Uint8Array,
): Buffer {
  return signed(Label.survivors, context, advertsDigest, sharersDigest, survivorsHash);
}

export function abortSignatureInput(context: Uint8Array): Buffer {
  return signed(Label.abort, context);
}

function digestOfList(parts: readonly (readonly [string, Uint8Array, Uint8Array])[]): Buffer {
  const hash = createHash("sha256");
  for (const [siteId, digest, signature] of [...parts].sort(([a], [b]) => compareSiteIds(a, b))) {
    for (const part of [Buffer.from(siteId), digest, signature].flatMap(lengthPrefixed)) hash.update(part);
  }
  return hash.digest();
}

/** h2 = SHA-256 of every sharer's id, root and signature in order of the ids, each after its length. */
export function sharersDigest(sharers: readonly SignedRoot[]): Buffer {
  return digestOfList(sharers.map(({ siteId, root, signature }) => [siteId, root, signature]));
}

/** h3 = SHA-256 of every survivor's id, upload digest and signature in order of the ids, each after its length. */
export function survivorsDigest(survivors: readonly SignedUpload[]): Buffer {
  return digestOfList(survivors.map(({ siteId, sha256, signature }) => [siteId, sha256, signature]));
}
