import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CertificateAuthority,
  createAuthority,
  loadAuthority,
} from "@consilium/shared/identity/certificate-authority.js";
import type { LeafRequest } from "@consilium/shared/identity/issue-leaf.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { PeerIdentity, Role } from "@consilium/shared/identity/peer-identity.js";
import { generateTlsKey, type TlsKeyPair } from "@consilium/shared/identity/tls-key.js";

export const dayMs = 86_400_000;

/**
 * A federation with a real CA in a temporary directory. Its leaves share one TLS key, because making one takes a
 * second; nothing in the protocol depends on TLS keys being different.
 */
export interface TestFederation {
  readonly federation: string;
  readonly directory: string;
  readonly authority: CertificateAuthority;
  readonly key: TlsKeyPair;
  identity(role: Role, id: string): PeerIdentity;
  /** A bundle whose certificate the authority issued; a coordinator's names localhost and 127.0.0.1. */
  bundle(role: Role, id: string, options?: BundleOptions): Promise<TlsBundle>;
  remove(): Promise<void>;
}

export interface BundleOptions {
  readonly validForMs?: number;
  /** When the authority issues: a past time gives an expired certificate, a future one gives one not yet valid. */
  readonly issuedAtMs?: number;
}

export async function createTestFederation(
  options: { federation?: string; key?: TlsKeyPair } = {},
): Promise<TestFederation> {
  const { federation = "demo" } = options;
  const directory = await mkdtemp(join(tmpdir(), "consilium-identities-"));
  const [authority, key] = await Promise.all([
    createAuthority({ directory, federation }),
    options.key ?? generateTlsKey(),
  ]);
  const identity = (role: Role, id: string): PeerIdentity => ({ federation, role, id });
  return {
    federation,
    directory,
    authority,
    key,
    identity,
    async bundle(role, id, { validForMs = dayMs, issuedAtMs } = {}) {
      const issuer = issuedAtMs === undefined ? authority : await issuingAt(directory, issuedAtMs);
      const names = role === "coordinator" ? { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] } : {};
      const request: LeafRequest = {
        identity: identity(role, id),
        publicKeyPem: key.publicKeyPem,
        validForMs,
        ...names,
      };
      const { certificatePem } = issuer.issueLeaf(request);
      return { caPem: authority.certificatePem, certPem: certificatePem, keyPem: key.privateKeyPem };
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

function issuingAt(directory: string, nowMs: number): Promise<CertificateAuthority> {
  return loadAuthority(directory, { clock: { now: () => nowMs, schedule: () => () => {} } });
}
