import { randomBytes } from "node:crypto";

/** Cryptographic randomness as an argument, so that published vectors replay byte for byte. */
export interface Entropy {
  bytes(length: number): Uint8Array;
}

export const systemEntropy: Entropy = { bytes: (length) => new Uint8Array(randomBytes(length)) };
