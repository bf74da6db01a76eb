import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import {
  beginRollover,
  type CertificateAuthority,
  createAuthority,
  loadAuthority,
} from "@consilium/shared/identity/certificate-authority.js";
import { parseAuthorities } from "@consilium/shared/identity/certificate-check.js";
import { spkiPin } from "@consilium/shared/identity/invitation.js";
import { loadTlsBundle, saveTlsBundle } from "@consilium/shared/identity/key-files.js";
import type { RevokedCertificate } from "@consilium/shared/identity/revocation-list.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { silentLogger } from "@consilium/shared/log.js";
import type { ServerTls } from "@consilium/shared/rpc/server-credentials.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CertificateKeeper } from "./certificate-keeper.js";
import { issueCoordinatorLeaf } from "./coordinator-leaf.js";

const hourMs = 3_600_000;
const certificateMs = 30 * hourMs;
const revocationListMs = 10 * hourMs;

let directory: string;
let clock: ManualClock;
let authority: CertificateAuthority;
let revoked: RevokedCertificate[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "consilium-keeper-"));
  clock = new ManualClock(Date.now());
  revoked = [];
  authority = await createAuthority({ directory: join(directory, "authority"), federation: "demo", clock });
  const { publicKeyPem, privateKeyPem: keyPem } = await generateTlsKey();
  const leaf = issueCoordinatorLeaf(authority, { host: "localhost", publicKeyPem, validForMs: certificateMs });
  await saveTlsBundle(join(directory, "tls"), { caPem: authority.trustPem, certPem: leaf.certificatePem, keyPem });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function openKeeper(host = "localhost", lifetimeMs = certificateMs): Promise<CertificateKeeper> {
  const tls = join(directory, "tls");
  return CertificateKeeper.open({
    ...{ authority, directory: tls, host, certificateMs: lifetimeMs, revocationListMs, clock, log: silentLogger },
    bundle: await loadTlsBundle(tls),
    revoked: () => revoked,
  });
}

/** The next change; nothing happens until then. */
function changes(keeper: CertificateKeeper): ServerTls[] {
  const seen: ServerTls[] = [];
  keeper.start((tls) => seen.push(tls));
  return seen;
}

async function advance(byMs: number, seen: readonly ServerTls[], expected: number): Promise<void> {
  clock.advance(byMs);
  await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(expected);
}

const serialOf = ({ certPem }: { certPem: string }) => new X509Certificate(certPem).serialNumber;

describe("CertificateKeeper", () => {
  it("makes lists anew at half their life, and the certificate after two thirds, with the same key", async () => {
    const keeper = await openKeeper();
    const first = keeper.tls;
    const seen = changes(keeper);
    await advance(5 * hourMs, seen, 1);
    expect(seen[0]!.revocationLists).not.toBe(first.revocationLists);
    expect(serialOf(seen[0]!)).toBe(serialOf(first));
    for (let turn = 2; turn <= 4; turn++) await advance(5 * hourMs, seen, turn);
    const renewed = seen.at(-1)!;
    expect(serialOf(renewed)).not.toBe(serialOf(first));
    expect(Buffer.from(spkiPin(renewed.certPem))).toEqual(Buffer.from(spkiPin(first.certPem)));
    expect(await loadTlsBundle(join(directory, "tls"))).toMatchObject({ certPem: renewed.certPem });
    expect(keeper.times.certificate - clock.now()).toBeGreaterThan(certificateMs - hourMs);
    keeper.stop();
    clock.advance(100 * hourMs);
    expect(seen).toHaveLength(4);
  });

  it("lists what was revoked at once", async () => {
    const keeper = await openKeeper();
    const before = keeper.tls.revocationLists;
    const seen = changes(keeper);
    revoked = [{ serial: "4000", revokedAtMs: clock.now() }];
    keeper.refreshLists();
    expect(seen).toHaveLength(1);
    expect(seen[0]!.revocationLists!.length).toBeGreaterThan(before!.length);
    keeper.stop();
  });

  it("starts with a new certificate where the old one has expired, names another host or outlives the settings", async () => {
    const first = (await openKeeper()).tls;
    const moved = (await openKeeper("fl.example.org")).tls;
    expect(serialOf(moved)).not.toBe(serialOf(first));
    expect(new X509Certificate(moved.certPem).checkHost("fl.example.org")).toBe("fl.example.org");
    const shortened = await openKeeper("fl.example.org", hourMs);
    expect(shortened.times.certificate).toBeLessThanOrEqual(clock.now() + hourMs);
    clock.advance(1000 * hourMs);
    const late = await openKeeper("fl.example.org");
    expect(late.times.certificate).toBeGreaterThan(clock.now());
  });

  it("shows a certificate of the older authority until the rollover ends, and then forgets that one", async () => {
    const older = new X509Certificate(authority.certificatePem);
    const endsMs = clock.now() + 2 * hourMs;
    await beginRollover(join(directory, "authority"), { endsMs, clock });
    authority = await loadAuthority(join(directory, "authority"), { clock });
    const keeper = await openKeeper();
    expect(parseAuthorities(keeper.tls.caPem)).toHaveLength(2);
    expect(new X509Certificate(keeper.tls.certPem).checkIssued(older)).toBe(true);
    expect(keeper.tls.revocationLists!.match(/BEGIN X509 CRL/g)).toHaveLength(2);
    const seen = changes(keeper);
    await advance(2 * hourMs, seen, 1);
    const newer = new X509Certificate(authority.certificatePem);
    expect(new X509Certificate(seen[0]!.certPem).verify(newer.publicKey)).toBe(true);
    expect(parseAuthorities(seen[0]!.caPem)).toHaveLength(1);
    expect((await loadAuthority(join(directory, "authority"), { clock })).rolloverEndsMs).toBeUndefined();
    keeper.stop();
  });
});
