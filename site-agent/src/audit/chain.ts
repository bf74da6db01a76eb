import { createHash } from "node:crypto";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { type IdentityKey, verifyIdentity } from "@consilium/shared/identity/identity-key.js";
import { type AuditEntry, type AuditObject, readEntry } from "./audit-entry.js";

/** What the first entry of a log follows. */
export const genesis = "0".repeat(64);

/** No entry is longer; a longer line is not one. */
export const longestLine = 4096;

/** hash = SHA-256(prev ‖ canonical JSON of the entry without `hash`), hex; `prev` as its 64 characters. */
export function entryHash(entry: Omit<AuditEntry, "hash">): string {
  return createHash("sha256").update(entry.prev).update(canonicalJson(entry)).digest("hex");
}

/** The entry of a line, or undefined where the line is none. Whether its hash is right is another question. */
export function parseLine(line: Uint8Array): AuditEntry | undefined {
  if (line.length > longestLine) return undefined;
  try {
    return readEntry(JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString("utf8")));
  } catch {
    return undefined;
  }
}

export function hasRightHash({ hash, ...rest }: AuditEntry): boolean {
  return entryHash(rest) === hash;
}

type Checkpoint = AuditObject<"log.checkpoint">;

/** Separates these signatures from those of plans and adverts, which the same kind of key makes. */
const checkpointLabel = "consilium/audit-checkpoint\0";

function signedBytes(covers: number, head: string): Buffer {
  return Buffer.from(`${checkpointLabel}${canonicalJson({ covers, head })}`);
}

export function signCheckpoint(
  identity: IdentityKey,
  { covers, head }: Pick<Checkpoint, "covers" | "head">,
): Checkpoint {
  const signature = Buffer.from(identity.sign(signedBytes(covers, head))).toString("hex");
  return { covers, head, key: identity.fingerprint, signature };
}

/** `publicKey`: raw Ed25519, 32 bytes. */
export function checkpointHolds({ covers, head, signature }: Omit<Checkpoint, "key">, publicKey: Uint8Array): boolean {
  return verifyIdentity(publicKey, signedBytes(covers, head), Buffer.from(signature, "hex"));
}
