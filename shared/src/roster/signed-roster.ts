import { z } from "zod";
import { canonicalJson } from "../canonical-json.js";
import { plainWords, printable } from "../config/plain-words.js";
import { ConsiliumError } from "../errors.js";
import { type IdentityKey, verifyIdentity } from "../identity/identity-key.js";
import { formatPublicKey, publicKeyText, rawPublicKey } from "../identity/public-key-text.js";
import { type Roster, rosterBytes, rosterSchema } from "./roster.js";

/** More bytes than a roster of the most sites with the most signatures has. */
export const mostRosterBytes = 1 << 20;
const mostSignatures = 64;

const signedRosterSchema = z.strictObject({
  roster: rosterSchema,
  signatures: z
    .array(
      z.strictObject({
        /** Public part of the governance key. */
        key: publicKeyText,
        /** Ed25519 over "consilium/roster\0" and the roster's canonical bytes, hex. */
        signature: z.string().regex(/^[0-9a-f]{128}$/, "must be 128 lower-case hex digits"),
      }),
    )
    .max(mostSignatures),
});

/** A roster with the signatures that it has so far. Nothing about them is verified by reading it. */
export type SignedRoster = z.output<typeof signedRosterSchema>;

const signatureLabel = "consilium/roster\0";

function signatureInput(roster: Roster): Buffer {
  return Buffer.concat([Buffer.from(signatureLabel), rosterBytes(roster)]);
}

/**
 * Reads a roster file or message, strictly.
 * @throws ConsiliumError "roster-refused" naming the first field that is not as it should be
 */
export function parseSignedRoster(document: string | Uint8Array): SignedRoster {
  if (document.length > mostRosterBytes) throw malformed(`it has more than ${mostRosterBytes} bytes`);
  const parsed = signedRosterSchema.safeParse(parseJson(document), plainWords);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = (more: readonly string[] = []) => placeText([...(issue?.path ?? []), ...more]);
  if (issue?.code === "unrecognized_keys") throw malformed(`unknown key ${path(issue.keys.slice(0, 1))}`);
  throw malformed(`${path()}: ${issue?.message.slice(0, 200) ?? "does not fit"}`);
}

function placeText(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "the document" : `"${printable(path.map(String).join(".").slice(0, 100))}"`;
}

function parseJson(document: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof document === "string" ? document : Buffer.from(document).toString("utf8"));
  } catch {
    throw malformed("it is not JSON");
  }
}

/** The shortest form, which travels. */
export function signedRosterBytes(signed: SignedRoster): Uint8Array {
  return Buffer.from(canonicalJson(signed));
}

/** As people read it before they sign. */
export function signedRosterText(signed: SignedRoster): string {
  return `${JSON.stringify(signed, null, 2)}\n`;
}

/** With this key's signature added, in the place of one that it had. */
export function withSignature({ roster, signatures }: SignedRoster, governanceKey: IdentityKey): SignedRoster {
  const key = formatPublicKey(governanceKey.publicKey);
  const signature = Buffer.from(governanceKey.sign(signatureInput(roster))).toString("hex");
  return { roster, signatures: [...signatures.filter((other) => other.key !== key), { key, signature }] };
}

/** Which keys have signed the roster validly, each once. */
export function signersOf({ roster, signatures }: SignedRoster): Set<string> {
  const message = signatureInput(roster);
  const valid = signatures.filter(({ key, signature }) =>
    verifyIdentity(rawPublicKey(key), message, Buffer.from(signature, "hex")),
  );
  return new Set(valid.map(({ key }) => key));
}

function malformed(reason: string): ConsiliumError {
  return new ConsiliumError("roster-refused", `the roster cannot be read: ${reason}`, {
    remedy: "take the file as 'consilium roster' wrote it",
  });
}
