import { createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { ConsiliumError } from "../errors.js";

export interface TlsKeyPair {
  /** PKCS #8 */
  readonly privateKeyPem: string;
  /** SubjectPublicKeyInfo */
  readonly publicKeyPem: string;
}

const generate = promisify(generateKeyPair);
export const tlsKeyBits = 3072;

/** RSA-3072, made off the main thread; takes about a second. */
export async function generateTlsKey(): Promise<TlsKeyPair> {
  const pair = await generate("rsa", {
    modulusLength: tlsKeyBits,
    publicExponent: 65537,
    publicKeyEncoding: { format: "pem", type: "spki" },
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
  });
  return { privateKeyPem: pair.privateKey, publicKeyPem: pair.publicKey };
}

/** Throws certificate-refused for anything but RSA of at least 3072 bits with exponent 65537. */
export function assertTlsKey(key: KeyObject): void {
  const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {};
  const wide = modulusLength >= tlsKeyBits && modulusLength <= 8192;
  if (key.asymmetricKeyType === "rsa" && wide && publicExponent === 65537n) return;
  throw new ConsiliumError(
    "certificate-refused",
    `The public key is not RSA with ${tlsKeyBits} bits and exponent 65537.`,
    {
      remedy: "Let the agent make the key; it uses the right kind.",
    },
  );
}

/** The same key as canonical SPKI PEM, read by OpenSSL. Throws certificate-refused. */
export function canonicalPublicKey(publicKey: string): string {
  return publicKeyPem(readTlsKey(publicKey));
}

export function publicKeyPem(key: KeyObject): string {
  return key.export({ format: "pem", type: "spki" }).toString();
}

/** A public key in PEM or, as bytes, in DER. Throws certificate-refused for what is none, or not of the right kind. */
export function readTlsKey(publicKey: string | Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key =
      typeof publicKey === "string"
        ? createPublicKey(publicKey)
        : createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  } catch (cause) {
    throw new ConsiliumError("certificate-refused", "The public key cannot be read.", { cause });
  }
  assertTlsKey(key);
  return key;
}
