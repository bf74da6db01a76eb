import { createHmac } from "node:crypto";

/** Turns an identifier into the name by which a site knows it: HMAC-SHA256 with the site's key, 16 hex digits. */
export type NameHash = (identifier: string) => string;

/** @param nameKey secret of the site; who lacks it can neither find nor try identifiers */
export function nameHash(nameKey: Uint8Array | string): NameHash {
  return (identifier) => createHmac("sha256", nameKey).update(identifier, "utf8").digest("hex").slice(0, 16);
}
