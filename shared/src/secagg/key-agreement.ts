import { createHash, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, KeyObject } from "node:crypto";
import { ConsiliumError } from "../errors.js";
import { curveKey } from "../identity/curve-key.js";
import { compareSiteIds, Label, secretBytes } from "./protocol.js";

/** X25519 with raw 32-byte keys, and what is derived from it. All results are Buffers so that they can be erased. */

// DER of RFC 8410 in front of the raw key.
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b656e032100", "hex");
const zeroByte = Buffer.alloc(1);

/** A secret key ready for several agreements: taking it in costs ten times as much as one of them. */
export function agreementKey(secret: Uint8Array): KeyObject {
  const der = Buffer.concat([pkcs8Prefix, secret]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  der.fill(0);
  return key;
}

export function publicKeyOf(secret: Uint8Array): Buffer {
  const spki = createPublicKey(agreementKey(secret)).export({ format: "der", type: "spki" });
  return Buffer.from(spki.subarray(spkiPrefix.length));
}

/**
 * The shared secret of two keys.
 * @param secret raw, or as `agreementKey` gives it
 * @throws ConsiliumError "share-invalid" for a key of the wrong length or of low order
 */
export function agree(secret: Uint8Array | KeyObject, theirPublicKey: Uint8Array): Buffer {
  try {
    const publicKey = curveKey("X25519", theirPublicKey);
    const privateKey = secret instanceof KeyObject ? secret : agreementKey(secret);
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new ConsiliumError("share-invalid", "a site's X25519 public key cannot be used", { cause });
  }
}

export function deriveKey(secret: Uint8Array, salt: Uint8Array, info: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, info, secretBytes));
}

/** What binds derived values to one attempt: the plan's context and the hash of the signed adverts. */
export interface AttemptBinding {
  readonly context: Uint8Array;
  /** h1 = SHA-256(L1). */
  readonly advertsDigest: Uint8Array;
}

export function pairMaskInfo(context: Uint8Array, oneSite: string, otherSite: string): Buffer {
  const [first = "", second = ""] = [oneSite, otherSite].sort(compareSiteIds);
  return Buffer.concat([
    Buffer.from(Label.pairMask),
    zeroByte,
    context,
    Buffer.from(first),
    zeroByte,
    Buffer.from(second),
  ]);
}

/** k_uv, the same on both sides. */
export function pairMaskKey(
  binding: AttemptBinding,
  mine: { siteId: string; maskSecret: Uint8Array | KeyObject },
  theirs: { siteId: string; maskPublicKey: Uint8Array },
): Buffer {
  const shared = agree(mine.maskSecret, theirs.maskPublicKey);
  const key = deriveKey(shared, binding.advertsDigest, pairMaskInfo(binding.context, mine.siteId, theirs.siteId));
  shared.fill(0);
  return key;
}

/** k_u */
export function selfMaskKey(binding: AttemptBinding, siteId: string, selfSecret: Uint8Array): Buffer {
  const info = Buffer.concat([Buffer.from(Label.selfMask), binding.context, Buffer.from(siteId)]);
  return deriveKey(selfSecret, binding.advertsDigest, info);
}

/** Sign with which `siteId` adds the mask that it shares with `otherSite`; opposite on the other side. */
export function pairSign(siteId: string, otherSite: string): 1 | -1 {
  return compareSiteIds(siteId, otherSite) < 0 ? 1 : -1;
}

/** SHA-256("fsa1/b" ‖ ctx ‖ u ‖ b_u) */
export function commitSelfSecret(context: Uint8Array, siteId: string, selfSecret: Uint8Array): Buffer {
  return createHash("sha256").update(Label.commitment).update(context).update(siteId).update(selfSecret).digest();
}
