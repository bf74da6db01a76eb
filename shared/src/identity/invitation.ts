import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { z } from "zod";
import { ConsiliumError } from "../errors.js";
import { assertIdentity } from "./peer-identity.js";

/** All that a site's administrator needs to join, in one line of text. Whoever holds it can enrol as this site, once. */
export interface Invitation {
  readonly federation: string;
  readonly siteId: string;
  readonly host: string;
  readonly enrolmentPort: number;
  readonly port: number;
  /** 32 random bytes; the coordinator keeps only their hash. */
  readonly secret: Uint8Array;
  /** SHA-256 of the coordinator certificate's SubjectPublicKeyInfo, 32 bytes: authenticates the first connection. */
  readonly pin: Uint8Array;
}

const prefix = "consilium-invite-v1.";
const port = z.int().min(1).max(65535);
const thirtyTwoBytes = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const host = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/);
const schema = z.strictObject({
  federation: z.string(),
  site: z.string(),
  host,
  enrol: port,
  port,
  secret: thirtyTwoBytes,
  pin: thirtyTwoBytes,
});

export function encodeInvitation(invitation: Invitation): string {
  assertIdentity({ federation: invitation.federation, role: "site", id: invitation.siteId });
  if (invitation.secret.length !== 32 || invitation.pin.length !== 32) {
    throw new ConsiliumError("internal", "An invitation's secret and pin have 32 bytes each.");
  }
  if (!host.safeParse(invitation.host).success) {
    throw new ConsiliumError("config-invalid", `The host ${JSON.stringify(invitation.host)} cannot be dialled.`);
  }
  const fields: z.infer<typeof schema> = {
    federation: invitation.federation,
    site: invitation.siteId,
    host: invitation.host,
    enrol: invitation.enrolmentPort,
    port: invitation.port,
    secret: base64url(invitation.secret),
    pin: base64url(invitation.pin),
  };
  return prefix + Buffer.from(JSON.stringify(fields)).toString("base64url");
}

/** Forgives surrounding white space and line breaks, as mail programs add them. Throws token-refused. */
export function decodeInvitation(text: string): Invitation {
  const joined = text.replaceAll(/\s/g, "");
  if (joined.length > 4096 || !joined.startsWith(prefix)) throw refused(`it does not begin with '${prefix}'`);
  const fields = schema.safeParse(parseJson(joined.slice(prefix.length)));
  if (!fields.success) throw refused("it is incomplete or damaged");
  const { federation, site, host, enrol, port, secret, pin } = fields.data;
  assertIdentity({ federation, role: "site", id: site });
  return {
    federation,
    siteId: site,
    host,
    enrolmentPort: enrol,
    port,
    secret: new Uint8Array(Buffer.from(secret, "base64url")),
    pin: new Uint8Array(Buffer.from(pin, "base64url")),
  };
}

/** What the coordinator stores instead of the secret: SHA-256, hex. The secret has 256 bits, so no salt is needed. */
export function hashToken(secret: Uint8Array): string {
  return createHash("sha256").update("consilium/token\0").update(secret).digest("hex");
}

/** Takes the same time wherever the two differ. */
export function tokenMatches(secret: Uint8Array, expectedHash: string): boolean {
  const actual = Buffer.from(hashToken(secret), "hex");
  const expected = Buffer.from(expectedHash, "hex");
  return expected.length === actual.length && timingSafeEqual(actual, expected);
}

/** SHA-256 of the certificate's SubjectPublicKeyInfo, 32 bytes. */
export function spkiPin(certificate: string | X509Certificate): Uint8Array {
  const { publicKey } = typeof certificate === "string" ? new X509Certificate(certificate) : certificate;
  const spki = publicKey.export({ format: "der", type: "spki" });
  return new Uint8Array(createHash("sha256").update(spki).digest());
}

function parseJson(encoded: string): unknown {
  try {
    return JSON.parse(Buffer.from(encoded, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

function refused(reason: string): ConsiliumError {
  return new ConsiliumError("token-refused", `The invitation cannot be used: ${reason}.`, {
    remedy: "Copy the whole line again, or ask the coordinator's operator for a new invitation.",
  });
}
