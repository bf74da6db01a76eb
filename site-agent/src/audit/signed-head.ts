import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { z } from "zod";
import { writeFileDurably } from "../durable-file.js";
import { hexDigest } from "./audit-entry.js";
import { checkpointHolds, signCheckpoint } from "./chain.js";

/**
 * The newest checkpoint entry, named and signed once more outside the log: where the log ends before it, lines were cut
 * off. Whoever cuts the log can put back an older one of these, which only the coordinator's witness shows.
 */
const headSchema = z.strictObject({
  covers: z.number().int().positive(),
  head: hexDigest,
  key: hexDigest,
  signature: z.string().regex(/^[0-9a-f]{128}$/),
});

export type SignedHead = z.output<typeof headSchema>;

const pathIn = (directory: string): string => join(directory, "head.json");

export function writeSignedHead(directory: string, identity: IdentityKey, at: { seq: number; hash: string }): void {
  const signed = signCheckpoint(identity, { covers: at.seq, head: at.hash });
  writeFileDurably(pathIn(directory), `${JSON.stringify(signed)}\n`);
}

/** Undefined where there is none, where it cannot be read, or where `publicKey` did not sign it. */
export function readSignedHead(directory: string, publicKey: Uint8Array): SignedHead | undefined {
  try {
    const signed = headSchema.parse(JSON.parse(readFileSync(pathIn(directory), "utf8")));
    return checkpointHolds(signed, publicKey) ? signed : undefined;
  } catch {
    return undefined;
  }
}
