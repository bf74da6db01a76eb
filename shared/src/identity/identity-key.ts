import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { isMissing, readText, writePrivateFile } from "../durable-files.js";
import { type Entropy, systemEntropy } from "../entropy.js";
import { ConsiliumError } from "../errors.js";
import { curveKey } from "./curve-key.js";

/** RFC 8410: what precedes the 32 raw bytes of an Ed25519 key in PKCS #8 and in SubjectPublicKeyInfo. */
const privatePrefix = Buffer.from("302e020100300506032b657004220420", "hex");
const publicPrefix = Buffer.from("302a300506032b6570032100", "hex");

const ownKeyDamaged = "Restore the file from a backup; a new key must be enrolled again.";

export interface KeyRemedies {
  readonly missing?: string;
  readonly damaged?: string;
}

/** The long-lived Ed25519 key that signs plans and adverts. Not the TLS key: losing that one must not break masking. */
export class IdentityKey {
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of the public key, hex; what administrators compare by telephone. */
  readonly fingerprint: string;
  readonly #key: KeyObject;

  private constructor(key: KeyObject) {
    this.#key = key;
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    this.publicKey = new Uint8Array(spki.subarray(publicPrefix.length));
    this.fingerprint = fingerprint(this.publicKey);
  }

  static generate(entropy: Entropy = systemEntropy): IdentityKey {
    return IdentityKey.fromSeed(entropy.bytes(32));
  }

  /** RFC 8032: the 32-byte seed is the private key. */
  static fromSeed(seed: Uint8Array): IdentityKey {
    if (seed.length !== 32) throw new ConsiliumError("internal", `An Ed25519 seed has 32 bytes, not ${seed.length}.`);
    const der = Buffer.concat([privatePrefix, seed]);
    try {
      return new IdentityKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
    } finally {
      der.fill(0);
    }
  }

  /**
   * @param remedies what to do without the file, or with one that is no key; by default what suits a program's own key
   * @throws ConsiliumError "config-missing" or "input-unreadable"
   */
  static async load(path: string, { missing, damaged = ownKeyDamaged }: KeyRemedies = {}): Promise<IdentityKey> {
    const pem = await readText(path, missing);
    const key = parsePrivateKey(pem);
    if (key?.asymmetricKeyType !== "ed25519") {
      throw new ConsiliumError("input-unreadable", `${path} is not an Ed25519 private key.`, {
        remedy: damaged,
      });
    }
    return new IdentityKey(key);
  }

  static async loadOrCreate(path: string, entropy: Entropy = systemEntropy): Promise<IdentityKey> {
    try {
      return await IdentityKey.load(path);
    } catch (error) {
      if (!(error instanceof ConsiliumError) || !isMissing(error.cause)) throw error;
    }
    const created = IdentityKey.generate(entropy);
    await created.save(path);
    return created;
  }

  async save(path: string): Promise<void> {
    await writePrivateFile(path, this.#key.export({ format: "pem", type: "pkcs8" }));
  }

  /** 64 bytes. */
  sign(message: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, message, this.#key));
  }
}

/** False for a wrong signature and for keys or signatures of the wrong form; never throws. */
export function verifyIdentity(publicKeyRaw: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKeyRaw.length !== 32 || signature.length !== 64) return false;
  try {
    return verify(null, message, curveKey("Ed25519", publicKeyRaw), signature);
  } catch {
    return false;
  }
}

/** SHA-256 of a raw public key, hex. */
export function fingerprint(publicKeyRaw: Uint8Array): string {
  return createHash("sha256").update(publicKeyRaw).digest("hex");
}

function parsePrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
