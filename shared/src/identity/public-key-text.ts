import { z } from "zod";

/** How people and files write an Ed25519 public key: "ed25519:" and 64 lower-case hex digits. */
export const publicKeyText = z
  .string()
  .regex(/^ed25519:[0-9a-f]{64}$/, "must be a public key such as ed25519:… with 64 lower-case hex digits");

const prefix = "ed25519:";

/** @param raw 32 bytes */
export function formatPublicKey(raw: Uint8Array): string {
  return prefix + Buffer.from(raw).toString("hex");
}

/** The raw 32 bytes of a text that `publicKeyText` has accepted. */
export function rawPublicKey(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.slice(prefix.length), "hex"));
}
