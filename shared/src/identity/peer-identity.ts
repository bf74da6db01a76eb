import type { X509Certificate } from "node:crypto";
import { ConsiliumError } from "../errors.js";
import { DerReader, derTag } from "./der.js";

export const roles = ["site", "researcher", "operator", "coordinator"] as const;
export type Role = (typeof roles)[number];

/** Who is at the other end of a connection, read from the certificate's only SAN URI and from nowhere else. */
export interface PeerIdentity {
  readonly federation: string;
  readonly role: Role;
  readonly id: string;
}

const name = "[a-z0-9-]{1,63}";
const namePattern = new RegExp(`^${name}$`);
const uriPattern = new RegExp(`^fed://(${name})/(${roles.join("|")})/(${name})$`);

/** id-ce-subjectAltName, 2.5.29.17. */
const subjectAltName = "551d11";

/** Throws config-invalid when the federation or id could not be written into a certificate. */
export function assertIdentity({ federation, role, id }: PeerIdentity): void {
  for (const [what, value] of [
    ["federation name", federation],
    [`${role} id`, id],
  ] as const) {
    if (namePattern.test(value)) continue;
    throw new ConsiliumError("config-invalid", `The ${what} ${JSON.stringify(value.slice(0, 80))} cannot be used.`, {
      remedy: "Use 1 to 63 lower-case letters, digits and hyphens.",
    });
  }
}

export function identityUri({ federation, role, id }: PeerIdentity): string {
  return `fed://${federation}/${role}/${id}`;
}

/**
 * Decodes the GeneralNames themselves: the text form that X509Certificate offers can be made to look like several
 * names by one. Exactly one URI; only a coordinator may also carry DNS names and addresses. Throws certificate-refused.
 */
export function parsePeerIdentity(certificate: X509Certificate): PeerIdentity {
  const uris: string[] = [];
  let others = 0;
  const names = new DerReader(subjectAltNames(certificate.raw)).sequence();
  while (!names.atEnd) {
    const { tag, content } = names.next();
    if (tag === derTag.uri) uris.push(ascii(content));
    else if (tag === derTag.dnsName || tag === derTag.ipAddress) others += 1;
    else throw refused("its subject alternative name has a kind that is not expected here");
  }
  // site-check: one-identity-uri
  if (uris.length !== 1) throw refused(`it has ${uris.length} URIs as subject alternative name and must have one`);
  const identity = parseIdentityUri(uris[0]!);
  if (others > 0 && identity.role !== "coordinator")
    throw refused(`a ${identity.role} may have no DNS name or address`);
  return identity;
}

export function parseIdentityUri(uri: string): PeerIdentity {
  const match = uriPattern.exec(uri);
  const [, federation, roleText, id] = match ?? [];
  const role = roles.find((known) => known === roleText);
  if (federation === undefined || role === undefined || id === undefined) {
    throw refused("its URI is not of the form fed://<federation>/<role>/<id>");
  }
  return { federation, role, id };
}

function subjectAltNames(der: Uint8Array): Uint8Array {
  const tbs = new DerReader(der).sequence().sequence();
  while (!tbs.atEnd && tbs.peek() !== derTag.extensions) tbs.next();
  if (tbs.atEnd) throw refused("it has no subject alternative name");
  const extensions = new DerReader(tbs.next().content).sequence();
  const found: Uint8Array[] = [];
  while (!extensions.atEnd) {
    const extension = extensions.sequence();
    const id = Buffer.from(extension.expect(derTag.objectIdentifier).content).toString("hex");
    if (extension.peek() === derTag.boolean) extension.next();
    const value = extension.expect(derTag.octetString).content;
    if (id === subjectAltName) found.push(value);
  }
  // site-check: one-alternative-name
  if (found.length !== 1) throw refused(`it has ${found.length} subject alternative names and must have one`);
  return found[0]!;
}

function ascii(bytes: Uint8Array): string {
  if (bytes.length > 255 || bytes.some((byte) => byte <= 0x20 || byte >= 0x7f)) {
    throw refused("its URI has characters that are not allowed");
  }
  return Buffer.from(bytes).toString("latin1");
}

function refused(reason: string): ConsiliumError {
  return new ConsiliumError("certificate-refused", `The certificate is refused: ${reason}.`, {
    remedy: "Use the certificate that this federation's coordinator issued.",
  });
}
