import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { writePrivateFile, writePublicFile } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { describeCertificate } from "@consilium/shared/identity/certificate-check.js";
import { identityUri, type PeerIdentity } from "@consilium/shared/identity/peer-identity.js";

export interface FolderContent {
  readonly keyPem: string;
  readonly certificatePem: string;
  /** Every authority that the coordinator's certificate may come from. */
  readonly trustPem: string;
  readonly federation: string;
  /** Of the coordinator's main port. */
  readonly host: string;
  readonly port: number;
}

/** A folder that the command line can use as it is: certificate, key, authorities, and where the coordinator is. */
export async function writeCredentials(folder: string, content: FolderContent): Promise<void> {
  const { keyPem, certificatePem, trustPem, federation, host, port } = content;
  const address = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writePrivateFile(join(folder, "key.pem"), keyPem);
  await writePublicFile(join(folder, "cert.pem"), certificatePem);
  await writePublicFile(join(folder, "ca.pem"), trustPem);
  await writePublicFile(join(folder, "profile.yaml"), `address: "${address}"\nfederation: ${federation}\n`);
}

/** Whether a folder holds credentials, whose ever they are. */
export function holdsCredentials(folder: string): boolean {
  return existsSync(join(folder, "cert.pem")) || existsSync(join(folder, "key.pem"));
}

/**
 * Someone else's key must not be lost by a slip in a folder's name.
 * @throws ConsiliumError "already-exists"
 */
export async function requireOwnFolder(folder: string, identity: PeerIdentity): Promise<void> {
  if (!holdsCredentials(folder) || (await ownerOf(folder)) === identityUri(identity)) return;
  throw new ConsiliumError("already-exists", `${folder} holds other credentials than those of ${identity.id}`, {
    remedy: "name another folder with --out, or move that one away",
  });
}

/** Undefined where the certificate is missing or none of this system. */
async function ownerOf(folder: string): Promise<string | undefined> {
  try {
    return identityUri(describeCertificate(await readFile(join(folder, "cert.pem"), "utf8")).identity);
  } catch {
    return undefined;
  }
}
