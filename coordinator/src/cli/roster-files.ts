import { existsSync, readFileSync } from "node:fs";
import { isMissing, writePublicFile } from "@consilium/shared/durable-files.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import {
  parseSignedRoster,
  type SignedRoster,
  signedRosterText,
  signersOf,
} from "@consilium/shared/roster/signed-roster.js";

/** Files of the people who hold governance keys; none of this needs a coordinator or a network. */

/** @throws ConsiliumError "config-missing" or "input-unreadable", naming the file */
export function readRosterFile(path: string): SignedRoster {
  const bytes = readBytes(path);
  try {
    return parseSignedRoster(bytes);
  } catch (cause) {
    const { message, remedy } = asConsiliumError(cause);
    throw new ConsiliumError("input-unreadable", `${path}: ${message}`, {
      ...(remedy === undefined ? {} : { remedy }),
      cause,
    });
  }
}

/** @throws ConsiliumError "roster-refused": nobody follows, signs or publishes such a file */
export function requireSignaturesHold(path: string, signed: SignedRoster): void {
  if (signersOf(signed).size === signed.signatures.length) return;
  throw new ConsiliumError("roster-refused", `${path}: a signature does not hold, or is there twice`, {
    remedy: "take the file as its last signer had it, or make the change again and have it signed",
  });
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
