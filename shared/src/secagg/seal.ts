import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { ConsiliumError } from "../errors.js";
import type { SealedShare } from "../protocol.js";
import { type AttemptBinding, agree, deriveKey } from "./key-agreement.js";
import { Label, sameBytes, secretBytes } from "./protocol.js";

/** Shares travel through the coordinator, sealed with AES-256-GCM from one site to another. */

/** What `fromSite` gives `toSite`: a share of its mask secret s_u and one of its self secret b_u, both at `x`. */
export interface SharePair {
  readonly x: number;
  readonly maskShare: Uint8Array;
  readonly selfShare: Uint8Array;
}

/** A share, under its author's own signature, that does not open. Only who holds the key can tell. */
export class BadShare extends ConsiliumError {
  readonly author: string;

  constructor(author: string, cause: unknown) {
    super("share-invalid", `the share sealed by site ${author} cannot be opened`, {
      cause,
      remedy: `the coordinator is told, and leaves out ${author} once enough sites say the same`,
    });
    this.author = author;
  }
}

/** A sealed share before its sender has hashed all of them into one root. */
export type UnprovenShare = Omit<SealedShare, "path">;

export interface SealRoute {
  readonly fromSite: string;
  readonly toSite: string;
}

/** One side's own secret and the other side's public key. */
export interface SealKeys {
  readonly sealSecret: Uint8Array | KeyObject;
  readonly theirSealPublicKey: Uint8Array;
}

// The key serves one message in one direction, so the nonce may be constant.
const nonce = Buffer.alloc(12);
const tagBytes = 16;
const zeroByte = Buffer.alloc(1);

/**
 * "from ‖ 0 ‖ to". Without the zero byte, the pairs ("a", "aa") and ("aa", "a") would share one key, and with it one
 * nonce.
 */
function routeBytes({ fromSite, toSite }: SealRoute): Buffer {
  return Buffer.concat([Buffer.from(fromSite), zeroByte, Buffer.from(toSite)]);
}

function sealKey(binding: AttemptBinding, route: SealRoute, keys: SealKeys): Buffer {
  const shared = agree(keys.sealSecret, keys.theirSealPublicKey);
  const info = Buffer.concat([Buffer.from(Label.sealKey), zeroByte, routeBytes(route)]);
  const key = deriveKey(shared, binding.advertsDigest, info);
  shared.fill(0);
  return key;
}

function associatedData(binding: AttemptBinding, route: SealRoute): Buffer {
  return Buffer.concat([binding.context, binding.advertsDigest, routeBytes(route)]);
}

/** Everything that the sealed text says besides the shares: route and x. */
function plaintextPrefix(route: SealRoute, x: number): Buffer {
  const position = Buffer.alloc(4);
  position.writeUInt32BE(x);
  return Buffer.concat([routeBytes(route), zeroByte, position]);
}

export function sealShares(
  binding: AttemptBinding,
  sealed: { route: SealRoute; keys: SealKeys; shares: SharePair },
): UnprovenShare {
  const { route, keys, shares } = sealed;
  const key = sealKey(binding, route, keys);
  const plaintext = Buffer.concat([plaintextPrefix(route, shares.x), shares.maskShare, shares.selfShare]);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(associatedData(binding, route));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  plaintext.fill(0);
  key.fill(0);
  return { fromSite: route.fromSite, toSite: route.toSite, ciphertext };
}

function decrypt(binding: AttemptBinding, share: UnprovenShare, keys: SealKeys): Buffer {
  const key = sealKey(binding, share, keys);
  const tagAt = share.ciphertext.length - tagBytes;
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes })
    .setAAD(associatedData(binding, share))
    .setAuthTag(share.ciphertext.subarray(tagAt));
  key.fill(0);
  return Buffer.concat([decipher.update(share.ciphertext.subarray(0, tagAt)), decipher.final()]);
}

/**
 * Opens what `share.fromSite` sealed for this site, whose position among the advertisers is `x`.
 * @throws BadShare naming the author
 */
export function openShares(
  binding: AttemptBinding,
  sealed: { share: UnprovenShare; keys: SealKeys; x: number },
): SharePair {
  const { share, keys, x } = sealed;
  try {
    const plaintext = decrypt(binding, share, keys);
    const prefix = plaintextPrefix(share, x);
    const sharesAt = prefix.length;
    // site-check: sealed-place
    if (plaintext.length !== sharesAt + 2 * secretBytes || !sameBytes(plaintext.subarray(0, sharesAt), prefix)) {
      throw new ConsiliumError("share-invalid", "it was sealed for another place");
    }
    const maskShare = plaintext.subarray(sharesAt, sharesAt + secretBytes);
    return { x, maskShare, selfShare: plaintext.subarray(sharesAt + secretBytes) };
  } catch (cause) {
    throw new BadShare(share.fromSite, cause);
  }
}
