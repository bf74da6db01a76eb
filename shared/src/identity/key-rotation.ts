import { type IdentityKey, verifyIdentity } from "./identity-key.js";
import { rawPublicKey } from "./public-key-text.js";

/** A site's new identity key in the place of another; keys as `publicKeyText` has them. */
export interface KeyRotation {
  readonly federation: string;
  readonly siteId: string;
  readonly before: string;
  readonly key: string;
}

/** The old key's word that the new one follows it: Ed25519, 64 bytes. */
export function signRotation(old: IdentityKey, rotation: Omit<KeyRotation, "before">): Uint8Array {
  return old.sign(signedText(rotation));
}

/** Whether the old key signed that the new one follows it, for this site of this federation. */
export function rotationHolds({ before, ...rotation }: KeyRotation, signature: Uint8Array): boolean {
  return verifyIdentity(rawPublicKey(before), signedText(rotation), signature);
}

function signedText({ federation, siteId, key }: Omit<KeyRotation, "before">): Buffer {
  return Buffer.from(`consilium/identity-rotation\0${federation}\0${siteId}\0${key}`);
}
