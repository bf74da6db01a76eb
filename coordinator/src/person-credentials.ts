import { mkdir } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { writePrivateFile, writePublicFile } from "@consilium/shared/durable-files.js";
import { type CertificateAuthority, loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { type CoordinatorConfig, homePaths, loadCoordinatorConfig } from "./config.js";

const personValidMs = 365 * 24 * 3_600_000;

export interface PersonCredentials {
  readonly operatorProfile: string;
  readonly researcherProfile: string;
}

/**
 * Writes the folders of the operator and the researcher, each with a new key and a certificate for a year, in the place
 * of those that were there. Certificates that were issued before stay good until they expire.
 */
export async function issuePersons(
  authority: CertificateAuthority,
  { home, config }: { home: string; config: CoordinatorConfig },
): Promise<PersonCredentials> {
  const { operator, researcher } = homePaths(home);
  const address = dialAddress(config.publicHost, config.listen.port);
  await Promise.all([
    issuePerson(authority, { role: "operator", address }, operator),
    issuePerson(authority, { role: "researcher", address }, researcher),
  ]);
  return { operatorProfile: operator, researcherProfile: researcher };
}

/**
 * As issuePersons, by the authority of a home; also beside a coordinator that runs there.
 * @throws ConsiliumError "config-missing" where there is no federation
 */
export async function renewPersons(home: string): Promise<PersonCredentials> {
  const config = loadCoordinatorConfig(home);
  return issuePersons(await loadAuthority(homePaths(home).authority), { home, config });
}

/** A folder that the command line can use as it is: certificate, key, CA, and where the coordinator is. */
async function issuePerson(
  authority: CertificateAuthority,
  { role, address }: { role: "operator" | "researcher"; address: string },
  directory: string,
): Promise<void> {
  const { federation } = authority;
  const key = await generateTlsKey();
  const { certificatePem } = authority.issueLeaf({
    identity: { federation, role, id: role },
    publicKeyPem: key.publicKeyPem,
    validForMs: personValidMs,
  });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writePrivateFile(join(directory, "key.pem"), key.privateKeyPem);
  await writePublicFile(join(directory, "cert.pem"), certificatePem);
  await writePublicFile(join(directory, "ca.pem"), authority.trustPem);
  await writePublicFile(join(directory, "profile.yaml"), `address: "${address}"\nfederation: ${federation}\n`);
}

function dialAddress(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
