import type { Entropy } from "@consilium/shared/entropy.js";
import type { KeyAdvert } from "@consilium/shared/protocol.js";
import { type IdentityKey, signAdvert } from "@consilium/shared/secagg/adverts.js";
import { commitSelfSecret, publicKeyOf } from "@consilium/shared/secagg/key-agreement.js";
import { secretBytes } from "@consilium/shared/secagg/protocol.js";
import { randomFieldElement } from "@consilium/shared/secagg/shamir.js";

/** Drawn anew for each attempt, so that what a reconstruction reveals opens nothing else. */
export interface AttemptSecrets {
  /** s_u, X25519, shared out; below the field's order so that it can be. */
  readonly maskSecret: Buffer;
  /** e_u, X25519, never leaves the site. */
  readonly sealSecret: Buffer;
  /** b_u, shared out. */
  readonly selfSecret: Buffer;
}

export function drawSecrets(entropy: Entropy): AttemptSecrets {
  return {
    maskSecret: randomFieldElement(entropy),
    sealSecret: Buffer.from(entropy.bytes(secretBytes)),
    selfSecret: randomFieldElement(entropy),
  };
}

export function eraseSecrets(secrets: AttemptSecrets): void {
  for (const secret of Object.values(secrets)) secret.fill(0);
}

export function advertFor(
  secrets: AttemptSecrets,
  site: { context: Uint8Array; siteId: string; identity: IdentityKey; entropy: Entropy },
): KeyAdvert {
  const { context, siteId, identity, entropy } = site;
  const fields = {
    siteId,
    maskPublicKey: publicKeyOf(secrets.maskSecret),
    sealPublicKey: publicKeyOf(secrets.sealSecret),
    selfCommitment: commitSelfSecret(context, siteId, secrets.selfSecret),
    nonce: entropy.bytes(secretBytes),
  };
  return signAdvert(context, fields, identity);
}
