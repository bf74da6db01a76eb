import { existsSync, readFileSync } from "node:fs";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { formatPublicKey, publicKeyText, rawPublicKey } from "@consilium/shared/identity/public-key-text.js";

/** Which governance keys a site pins, and how many of them must have signed a roster. */
export interface GovernancePins {
  /** As "ed25519:" and 64 hex digits, each once. */
  readonly keys: readonly string[];
  readonly threshold: number;
}

/** A file of public keys is this small; a larger one is something else. */
const mostFileBytes = 64 * 1024;

/**
 * What a person gave to pin: public keys, or files that hold one a line.
 * @param threshold undefined: more than half of the keys
 * @returns undefined where nothing was given
 * @throws ConsiliumError "config-invalid" or "config-missing" naming the key, the file or the threshold
 */
export function governancePins(given: readonly string[], threshold?: number): GovernancePins | undefined {
  if (given.length === 0) {
    if (threshold === undefined) return undefined;
    throw refused("--governance-threshold counts governance keys, and none is given", "add --governance-key");
  }
  const keys = given.flatMap(keysIn);
  const repeated = keys.find((key, i) => keys.indexOf(key) !== i);
  if (repeated !== undefined) {
    throw refused(`${repeated} is given twice`, "give each holder's key once; two holders never have the same");
  }
  const enough = threshold ?? Math.floor(keys.length / 2) + 1;
  if (enough > keys.length) {
    const message = `--governance-threshold ${enough} is more than the governance keys given: ${keys.length}`;
    throw refused(message, "no roster could ever be followed: give more keys or a lower threshold");
  }
  return { keys, threshold: enough };
}

function keysIn(given: string): string[] {
  const one = keyOf(given);
  if (one !== undefined) return [one];
  if (!existsSync(given)) throw noKey(given);
  return readKeys(given);
}

function readKeys(path: string): string[] {
  const text = readPublic(path);
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => [line, keyOf(line)] as const);
  const wrong = keys.find(([, key]) => key === undefined);
  if (wrong !== undefined || keys.length === 0) {
    const what = wrong === undefined ? "holds no key" : `${JSON.stringify(wrong[0].slice(0, 80))} is no public key`;
    throw refused(`${path}: ${what}`, `write one key such as ed25519:9f2c… a line, as ${printedBy} prints it`);
  }
  return keys.flatMap(([, key]) => key ?? []);
}

function readPublic(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConsiliumError("config-missing", `${path}: cannot be read`, {
      remedy: "name a file you may read",
      cause,
    });
  }
  if (/PRIVATE KEY/.test(text)) {
    const remedy = `keep it offline, off this machine, and give its public part: the line that ${printedBy} printed`;
    throw refused(`${path} is a private key, which signs rosters`, remedy);
  }
  if (text.length > mostFileBytes) throw refused(`${path} is too large for a file of keys`, "name the right file");
  return text;
}

/** With or without what it begins with; nothing else is a key. */
function keyOf(text: string): string | undefined {
  const hex = text.trim().toLowerCase();
  const parsed = publicKeyText.safeParse(/^[0-9a-f]{64}$/.test(hex) ? `ed25519:${hex}` : hex);
  return parsed.success ? formatPublicKey(rawPublicKey(parsed.data)) : undefined;
}

const printedBy = "'consilium roster key'";

function noKey(given: string): ConsiliumError {
  const remedy = `ask the holders of the governance keys for the line that ${printedBy} printed: ed25519: and 64 hex digits`;
  return refused(`${JSON.stringify(given.slice(0, 100))} is neither a public key nor a file`, remedy);
}

function refused(message: string, remedy: string): ConsiliumError {
  return new ConsiliumError("config-invalid", message, { remedy });
}
