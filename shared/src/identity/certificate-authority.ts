import { createPrivateKey } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../clock.js";
import { type Entropy, systemEntropy } from "../entropy.js";
import { ConsiliumError } from "../errors.js";
import { readOptional, readTogether, type SetFile, writeTogether } from "./file-set.js";
import {
  type IssuedCertificate,
  type Issuer,
  type IssuingSurroundings,
  issueLeaf,
  issuerOf,
  type LeafRequest,
  selfSigned,
} from "./issue-leaf.js";
import { assertIdentity } from "./peer-identity.js";
import { type RevokedCertificate, signRevocationList } from "./revocation-list.js";
import { generateTlsKey } from "./tls-key.js";

/**
 * Issues every certificate of one federation. The CA's key stays in the directory that it was loaded from. During a
 * rollover there are two: the newer one issues, and leaves of both count.
 */
export interface CertificateAuthority {
  readonly federation: string;
  /** Of the CA that issues. */
  readonly certificatePem: string;
  /** Every CA whose leaves count, the one that issues first. */
  readonly trustPem: string;
  /** When the older CA can go, milliseconds since the epoch; undefined where there is only one. */
  readonly rolloverEndsMs: number | undefined;
  /** Throws config-invalid for an identity of another federation or names that do not fit its role. */
  issueLeaf(request: LeafRequest): IssuedCertificate;
  /** As issueLeaf, by the older CA while there is one: what it issues, every site can check. */
  issueServerLeaf(request: LeafRequest): IssuedCertificate;
  /** One list of each CA, in PEM. OpenSSL refuses everyone where the list of an issuer is missing or old. */
  revocationLists(revoked: readonly RevokedCertificate[], validForMs: number): string;
  /** Ends a rollover: the older CA and its key are removed for good. */
  retireOlder(): Promise<void>;
}

interface Surroundings {
  readonly clock?: Clock;
  readonly entropy?: Entropy;
}

const tenYearsMs = 10 * 365.25 * 24 * 3_600_000;
const files = {
  certificate: "ca-certificate.pem",
  key: "ca-key.pem",
  federation: "federation",
  olderCertificate: "older-ca-certificate.pem",
  olderKey: "older-ca-key.pem",
  rolloverEnds: "rollover-ends",
} as const;

/** Makes a federation's CA: RSA-3072, ten years, allowed to issue leaves only. Throws already-exists. */
export async function createAuthority(
  options: { directory: string; federation: string } & Surroundings,
): Promise<CertificateAuthority> {
  const { directory, federation } = options;
  assertIdentity({ federation, role: "coordinator", id: "coordinator" });
  if (existsSync(join(directory, files.key))) {
    throw new ConsiliumError("already-exists", `${directory} already holds a certificate authority.`, {
      remedy: "Use it, or choose another directory. Replacing it would shut out every enrolled site.",
    });
  }
  const { certificatePem, keyPem } = await newCa(`Consilium ${federation} CA`, options);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeTogether(directory, [
    { name: files.federation, content: `${federation}\n` },
    { name: files.certificate, content: certificatePem },
    { name: files.key, content: keyPem, secret: true },
  ]);
  return loadAuthority(directory, options);
}

/** Throws config-missing where there is none, input-unreadable where its files do not fit together. */
export async function loadAuthority(directory: string, surroundings: Surroundings = {}): Promise<CertificateAuthority> {
  const [federation, certificatePem, keyPem] = await readTogether(directory, [
    files.federation,
    files.certificate,
    files.key,
  ]);
  try {
    const issuer = issuerOf(certificatePem!, keyPem!);
    const older = await loadOlder(directory);
    return authority({ directory, federation: federation!.trim(), issuer, older }, surroundings);
  } catch (cause) {
    throw new ConsiliumError("input-unreadable", `The certificate authority in ${directory} cannot be used.`, {
      remedy: "Restore the directory from a backup; its certificate and key must belong together.",
      cause,
    });
  }
}

/**
 * Begins a rollover: a new CA issues from now on, and what the old one issued counts until `endsMs`.
 * Throws already-exists during another rollover.
 */
export async function beginRollover(
  directory: string,
  { endsMs, ...surroundings }: { endsMs: number } & Surroundings,
): Promise<CertificateAuthority> {
  const current = await loadAuthority(directory, surroundings);
  if (current.rolloverEndsMs !== undefined) {
    const until = new Date(current.rolloverEndsMs).toISOString();
    throw new ConsiliumError("already-exists", `${directory} already changes to a new authority until ${until}.`, {
      remedy: "Wait until then: sites that have not heard of the first change could not follow a second one.",
    });
  }
  const [certificate, key] = await readTogether(directory, [files.certificate, files.key]);
  const began = new Date((surroundings.clock ?? systemClock).now()).toISOString();
  const next = await newCa(`Consilium ${current.federation} CA ${began}`, surroundings);
  await writeTogether(directory, [
    { name: files.olderCertificate, content: certificate },
    { name: files.olderKey, content: key, secret: true },
    { name: files.rolloverEnds, content: `${endsMs}\n` },
    { name: files.certificate, content: next.certificatePem },
    { name: files.key, content: next.keyPem, secret: true },
  ]);
  return loadAuthority(directory, surroundings);
}

async function newCa(name: string, { clock = systemClock, entropy = systemEntropy }: Surroundings) {
  const { privateKeyPem: keyPem, publicKeyPem } = await generateTlsKey();
  const key = createPrivateKey(keyPem);
  return { keyPem, certificatePem: selfSigned({ name, key, publicKeyPem, validForMs: tenYearsMs, clock, entropy }) };
}

interface Older extends Issuer {
  readonly endsMs: number;
}

async function loadOlder(directory: string): Promise<Older | undefined> {
  const ends = await readOptional(directory, files.rolloverEnds);
  if (ends === undefined) return undefined;
  const [certificatePem, keyPem] = await readTogether(directory, [files.olderCertificate, files.olderKey]);
  const endsMs = Number(ends);
  if (!Number.isFinite(endsMs)) throw new Error("the end of the rollover cannot be read");
  return { ...issuerOf(certificatePem!, keyPem!), endsMs };
}

interface Loaded {
  readonly directory: string;
  readonly federation: string;
  readonly issuer: Issuer;
  readonly older: Older | undefined;
}

function authority(
  loaded: Loaded,
  { clock = systemClock, entropy = systemEntropy }: Surroundings,
): CertificateAuthority {
  const { directory, federation, issuer } = loaded;
  let { older } = loaded;
  const surroundings: IssuingSurroundings = { clock, entropy };
  const all = () => (older === undefined ? [issuer] : [issuer, older]);
  const certificatePem = issuer.certificate.toString();
  return {
    federation,
    certificatePem,
    get trustPem() {
      return all()
        .map(({ certificate }) => certificate.toString())
        .join("");
    },
    get rolloverEndsMs() {
      return older?.endsMs;
    },
    issueLeaf(request) {
      assertOwn(request, federation);
      return issueLeaf(request, issuer, surroundings);
    },
    issueServerLeaf(request) {
      assertOwn(request, federation);
      return issueLeaf(request, older ?? issuer, surroundings);
    },
    revocationLists(revoked, validForMs) {
      const thisUpdateMs = clock.now();
      const times = { thisUpdateMs: thisUpdateMs - backdatedMs(validForMs), nextUpdateMs: thisUpdateMs + validForMs };
      return all()
        .map(({ certificate, key }) => signRevocationList({ issuer: certificate, key, revoked, ...times }))
        .join("");
    },
    async retireOlder() {
      const gone = [files.rolloverEnds, files.olderCertificate, files.olderKey];
      await writeTogether(
        directory,
        gone.map((name): SetFile => ({ name, content: undefined })),
      );
      older = undefined;
    },
  };
}

/** A list that is not valid yet shuts everyone out too, should the clock be set back a little. */
function backdatedMs(validForMs: number): number {
  return Math.min(3_600_000, validForMs / 10);
}

function assertOwn({ identity }: LeafRequest, federation: string): void {
  if (identity.federation === federation) return;
  throw new ConsiliumError("config-invalid", `This authority issues for ${federation}, not ${identity.federation}.`);
}
