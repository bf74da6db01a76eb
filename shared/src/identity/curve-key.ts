import { createPublicKey, type KeyObject } from "node:crypto";

/**
 * A public key from its 32 raw bytes. By way of RFC 8037, because six times faster than through DER, and there are lists of
 * hundreds.
 * @throws when the bytes are no key of this curve
 */
export function curveKey(curve: "Ed25519" | "X25519", raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: curve, x }, format: "jwk" });
}
