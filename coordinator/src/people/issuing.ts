import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { CertificateAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import type { CoordinatorConfig } from "../config.js";
import type { PersonRole, PersonStore } from "../store/person-store.js";
import { requireOwnFolder, writeCredentials } from "./credentials-folder.js";
import { type PersonSummary, summariseCertificates } from "./person-list.js";

/** What makes credentials of people. */
export interface Issuing {
  readonly authority: CertificateAuthority;
  readonly config: CoordinatorConfig;
  readonly store: PersonStore;
  readonly clock: Clock;
}

export interface CredentialsRequest {
  readonly id: string;
  readonly role: PersonRole;
  readonly folder: string;
}

export interface IssuedCredentials extends CredentialsRequest {
  readonly expiresAtMs: number;
}

/**
 * Credentials for someone who has none that count: never had any, or lost them by revocation.
 * @throws ConsiliumError "config-invalid" for an id that cannot be, "already-exists" for one that is taken or a folder
 * with the credentials of someone else
 */
export async function issueCredentials(issuing: Issuing, request: CredentialsRequest): Promise<IssuedCredentials> {
  const known = findPerson(issuing, request.id);
  if (known !== undefined && known.role !== request.role) {
    throw new ConsiliumError("already-exists", `${request.id} is the id of ${withArticle(known.role)}`, {
      remedy: "choose another id: each is one person's, in one role, for good",
    });
  }
  if (known?.status === "valid") {
    throw new ConsiliumError("already-exists", `${request.id} has credentials already`, {
      remedy: `give them a longer life with 'consilium coordinator credentials renew ${request.id}', or revoke them first`,
    });
  }
  return makeCredentials(issuing, request);
}

/**
 * A new key and certificate; the ones before stay good until they expire.
 * @throws ConsiliumError "not-found" for an id without credentials, "stale" where they were revoked, "already-exists" as
 * above
 */
export async function renewCredentials(
  issuing: Issuing,
  { id, folder }: { readonly id: string; readonly folder: string },
): Promise<IssuedCredentials> {
  const { role, status } = requirePerson(issuing, id);
  if (status === "revoked") {
    throw new ConsiliumError("stale", `the credentials of ${id} were revoked`, {
      remedy: `make new ones with 'consilium coordinator credentials issue ${id} --role ${role}'`,
    });
  }
  return makeCredentials(issuing, { id, role, folder });
}

/** @throws ConsiliumError "not-found" */
export function requirePerson(from: Pick<Issuing, "store" | "clock">, id: string): PersonSummary {
  const person = findPerson(from, id);
  if (person !== undefined) return person;
  throw new ConsiliumError("not-found", `nobody with the id ${JSON.stringify(id.slice(0, 63))} has credentials`, {
    remedy: "'consilium coordinator credentials list' shows everybody",
  });
}

function findPerson({ store, clock }: Pick<Issuing, "store" | "clock">, id: string): PersonSummary | undefined {
  return summariseCertificates(store.list(), clock.now()).find((person) => person.id === id);
}

async function makeCredentials(
  { authority, config, store, clock }: Issuing,
  { id, role, folder }: CredentialsRequest,
): Promise<IssuedCredentials> {
  const { federation } = authority;
  const identity = { federation, role, id };
  await requireOwnFolder(folder, identity);
  const { publicKeyPem, privateKeyPem: keyPem } = await generateTlsKey();
  const validForMs = config.certificates.people;
  const { certificatePem, serial, notAfterMs } = authority.issueLeaf({ identity, publicKeyPem, validForMs });
  const dates = { issuedAtMs: clock.now(), expiresAtMs: notAfterMs };
  // First: one that is not written down does not count, and one that is and was not handed out does no harm.
  store.add({ serial, role, personId: id, ...dates, revokedAtMs: null });
  const { publicHost: host, listen } = config;
  const { trustPem } = authority;
  await writeCredentials(folder, { keyPem, certificatePem, trustPem, federation, host, port: listen.port });
  return { id, role, folder, expiresAtMs: notAfterMs };
}

function withArticle(role: PersonRole): string {
  return role === "operator" ? "an operator" : "a researcher";
}
