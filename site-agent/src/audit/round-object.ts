import { createHash } from "node:crypto";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { asWord } from "./audit-entry.js";

/** How entries name an attempt. */
export function roundOf({ runId, round, attempt }: RoundKey) {
  return { run: asWord(runId), round, attempt };
}

/** SHA-256 of a plan's signed bytes, hex. */
export function planDigest(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("hex");
}
