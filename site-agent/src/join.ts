import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { type Clock, systemClock } from "@consilium/shared/clock.js";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { readText, writePrivateFile, writePublicFile } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { describeCertificate } from "@consilium/shared/identity/certificate-check.js";
import { createCertificateRequest } from "@consilium/shared/identity/certificate-request.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { decodeInvitation, hashToken, type Invitation } from "@consilium/shared/identity/invitation.js";
import { saveTlsBundle } from "@consilium/shared/identity/key-files.js";
import { generateTlsKey, type TlsKeyPair } from "@consilium/shared/identity/tls-key.js";
import { type Logger, silentLogger } from "@consilium/shared/log.js";
import type { HttpProxy } from "@consilium/shared/rpc/proxy.js";
import { z } from "zod";
import type { AuditTrail } from "./audit/audit-log.js";
import { type Egress, EgressRecord } from "./audit/egress-record.js";
import { openSiteLog } from "./audit/site-log.js";
import { auditSettings } from "./config.js";
import { coordinatorProxy, type Environment, type WaySettings } from "./coordinator-proxy.js";
import { type Enrolled, type Enrolment, type EnrolmentAsk, enrolmentSchema } from "./enrolment.js";
import type { GovernancePins } from "./governance/governance-pins.js";
import type { SiteHome } from "./home.js";
import { loadPolicy } from "./policy.js";
import { policyTemplate, siteTemplate } from "./templates.js";

export interface JoinOptions {
  readonly home: SiteHome;
  readonly invitation: string;
  readonly enrol: (
    invitation: Invitation,
    ask: EnrolmentAsk,
    by: { readonly egress: Egress; readonly proxy: HttpProxy | undefined },
  ) => Promise<Enrolled>;
  /** How to reach the coordinator, to be written into a new site.yaml; without it a site.yaml that is there decides. */
  readonly way?: WaySettings;
  readonly environment?: Environment;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Of the certificate; a new one unless given. */
  readonly makeKey?: () => Promise<TlsKeyPair>;
  /** Folder of images to write into a new site.yaml. */
  readonly dataPath?: string;
  /** Governance keys to write into a new policy.yaml. */
  readonly governance?: GovernancePins;
}

export interface JoinReport {
  readonly federation: string;
  readonly siteId: string;
  readonly coordinator: string;
  /** SHA-256 of the identity key, hex: to be confirmed with the operator by telephone. */
  readonly identityFingerprint: string;
  readonly certificateExpiresMs: number;
  /** How many governance keys the site's policy pins. */
  readonly governanceKeys: number;
  /** Configuration files that were not there before. */
  readonly written: readonly string[];
}

/**
 * Makes the site's keys, which never leave this machine, and has the coordinator certify them. Every step may be
 * repeated: keys and request are on disk before they are sent, so the same invitation gives the same certificate.
 * @throws ConsiliumError "token-refused", "unreachable", "certificate-refused", or "already-exists" when this home
 * belongs to another site, or has a policy that pins other governance keys.
 */
export async function join(options: JoinOptions): Promise<JoinReport> {
  const { home } = options;
  const invitation = decodeInvitation(options.invitation);
  requireSameSite(home, invitation);
  requireSamePins(home, options.governance);
  const { environment = {} } = options;
  const proxy = coordinatorProxy({ home, environment, host: invitation.host }, options.way);
  await mkdir(home.identity.directory, { recursive: true, mode: 0o700 });
  const identity = await IdentityKey.loadOrCreate(home.identity.identityKey);
  const pending = await pendingRequest(options, invitation);
  const certificate = await audited(options, identity, async (log, egress) => {
    const ask = { csrPem: pending.csrPem, identityPublicKey: identity.publicKey };
    const enrolled = await options.enrol(invitation, ask, { egress, proxy });
    const facts = checkReply(enrolled, invitation);
    log.record({
      action: "certificate.stored",
      object: { certificate: facts.fingerprint, notAfterMs: facts.notAfterMs },
    });
    await store(home, invitation, { enrolled, keyPem: pending.privateKeyPem });
    return facts;
  });
  return {
    federation: invitation.federation,
    siteId: invitation.siteId,
    coordinator: `${invitation.host}:${invitation.port}`,
    identityFingerprint: identity.fingerprint,
    certificateExpiresMs: certificate.notAfterMs,
    written: await writeTemplates(options, invitation.federation),
    governanceKeys: pinnedIn(home)?.keys.length ?? 0,
  };
}

/** Asking for a certificate is the first that leaves a site, and the first that its audit log tells. */
async function audited<Result>(
  { home, clock = systemClock, logger = silentLogger }: JoinOptions,
  identity: IdentityKey,
  task: (log: AuditTrail, egress: Egress) => Promise<Result>,
): Promise<Result> {
  const log = openSiteLog({ home, settings: auditSettings(home), identity, clock, role: "operator" });
  try {
    log.record({ action: "command.run", object: { command: "join" } });
    return await task(log, new EgressRecord({ trail: log, logger }));
  } finally {
    log.close();
  }
}

/** A home holds one site's keys and updates for good; what belongs to two sites would end in the wrong sum. */
function requireSameSite(home: SiteHome, { federation, siteId }: Invitation): void {
  if (!existsSync(home.identity.enrolment)) return;
  const known = loadYaml(home.identity.enrolment, enrolmentSchema);
  if (known.federation === federation && known.siteId === siteId) return;
  throw new ConsiliumError("already-exists", `${home.root} belongs to site ${known.siteId} of ${known.federation}`, {
    remedy: `name another folder with --home to join as ${siteId} of ${federation}`,
  });
}

/** A policy is the hospital's own text: what stands in one already is not changed by a command. */
function requireSamePins(home: SiteHome, asked: GovernancePins | undefined): void {
  if (asked === undefined || !existsSync(home.policyYaml)) return;
  const pinned = pinnedIn(home);
  const same =
    pinned?.threshold === asked.threshold && [...pinned.keys].sort().join() === [...asked.keys].sort().join();
  if (same) return;
  const section = `governance: { keys: [${asked.keys.join(", ")}], threshold: ${asked.threshold} }`;
  throw new ConsiliumError("already-exists", `${home.policyYaml} is there already and pins other governance keys`, {
    remedy: `if the new ones are right, write them into it and join without --governance-key: ${section}`,
  });
}

/** Undefined for a policy that is not valid: the agent, which refuses every run by it, says why. */
function pinnedIn(home: SiteHome): GovernancePins | undefined {
  try {
    return loadPolicy(home.policyYaml).governance;
  } catch {
    return undefined;
  }
}

const pendingSchema = z.strictObject({ tokenHash: z.string(), csrPem: z.string(), privateKeyPem: z.string() });
type Pending = z.output<typeof pendingSchema>;

/** The request of an earlier try with the same invitation, or a new one. Key and request are one file, so they always fit. */
async function pendingRequest(
  { home, makeKey = generateTlsKey }: JoinOptions,
  { siteId, secret }: Invitation,
): Promise<Pending> {
  const tokenHash = hashToken(secret);
  const earlier = await readPending(home.identity.request);
  if (earlier?.tokenHash === tokenHash) return earlier;
  const key = await makeKey();
  const pending = { tokenHash, csrPem: createCertificateRequest(key, siteId), privateKeyPem: key.privateKeyPem };
  await writePrivateFile(home.identity.request, JSON.stringify(pending));
  return pending;
}

async function readPending(path: string): Promise<Pending | undefined> {
  if (!existsSync(path)) return undefined;
  const text = await readText(path);
  try {
    return pendingSchema.parse(JSON.parse(text));
  } catch {
    // Damaged: a new request is as good, unless the old one was answered, which the coordinator will say.
    return undefined;
  }
}

function checkReply({ certificatePem, federation, planPublicKey }: Enrolled, invitation: Invitation) {
  const facts = describeCertificate(certificatePem);
  const { identity } = facts;
  const fits =
    federation === invitation.federation &&
    identity.federation === federation &&
    identity.role === "site" &&
    identity.id === invitation.siteId &&
    planPublicKey.length === 32;
  // site-check: enrolment-reply
  if (!fits) {
    throw new ConsiliumError(
      "certificate-refused",
      "the coordinator's answer is not about the site of the invitation",
      {
        remedy: "ask the coordinator's operator for a new invitation",
      },
    );
  }
  return facts;
}

/** The record of the enrolment goes last: with it, everything else is there. */
async function store(
  home: SiteHome,
  invitation: Invitation,
  { enrolled, keyPem }: { enrolled: Enrolled; keyPem: string },
): Promise<void> {
  const { directory, enrolment } = home.identity;
  const { certificatePem: certPem, caPem, planPublicKey } = enrolled;
  await saveTlsBundle(directory, { certPem, caPem, keyPem });
  const record: Enrolment = {
    version: 1,
    federation: invitation.federation,
    siteId: invitation.siteId,
    host: invitation.host,
    port: invitation.port,
    planPublicKey: Buffer.from(planPublicKey).toString("hex"),
  };
  await writePublicFile(enrolment, `${JSON.stringify(record, null, 2)}\n`);
}

async function writeTemplates({ home, dataPath, way, governance }: JoinOptions, federation: string): Promise<string[]> {
  const files = [
    { path: home.siteYaml, text: siteTemplate(dataPath, way) },
    { path: home.policyYaml, text: policyTemplate(federation, governance) },
  ].filter(({ path }) => !existsSync(path));
  for (const { path, text } of files) await writePublicFile(path, text);
  return files.map(({ path }) => path);
}
