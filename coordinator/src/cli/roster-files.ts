import { existsSync, readFileSync } from "node:fs";
import { isMissing, writePublicFile } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { parseSignedRoster, type SignedRoster, signedRosterText } from "@consilium/shared/roster/signed-roster.js";

/** Files of the people who hold governance keys; none of this needs a coordinator or a network. */

/** @throws ConsiliumError "config-missing", "input-unreadable" or "roster-refused" */
export function readRosterFile(path: string): SignedRoster {
  return parseSignedRoster(readBytes(path));
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ConsiliumError(isMissing(cause) ? "config-missing" : "input-unreadable", `${path} cannot be read`, {
      remedy: "make one with 'consilium roster init', or fetch the newest with 'consilium roster fetch'",
      cause,
    });
  }
}

export function writeRosterFile(path: string, signed: SignedRoster): Promise<void> {
  return writePublicFile(path, signedRosterText(signed));
}

/** @throws ConsiliumError "already-exists": neither a key nor a roster is overwritten by a new one. */
export function requireNew(path: string): void {
  if (!existsSync(path)) return;
  throw new ConsiliumError("already-exists", `${path} is there already`, { remedy: "choose another file" });
}

/** A new private key, readable by its owner alone. */
export async function makeGovernanceKey(path: string): Promise<IdentityKey> {
  requireNew(path);
  const key = IdentityKey.generate();
  await key.save(path);
  return key;
}
