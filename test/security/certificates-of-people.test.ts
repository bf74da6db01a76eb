import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { homePaths } from "@consilium/coordinator/config.js";
import { type Coordinator, startCoordinator } from "@consilium/coordinator/coordinator.js";
import { initCoordinator } from "@consilium/coordinator/init.js";
import { issueAtHome, listAtHome, renewAtHome, revokeAtHome } from "@consilium/coordinator/people/home-credentials.js";
import { connectAdmin } from "@consilium/coordinator/rpc/admin-client.js";
import type { Admin } from "@consilium/coordinator/rpc/admin-types.js";
import { systemClock } from "@consilium/shared/clock.js";
import { loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { generateTlsKey } from "@consilium/shared/identity/tls-key.js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { recorder } from "../support/rpc-rig.js";
import { tinyRun } from "../support/small-federation.js";

const directory = mkdtempSync(join(tmpdir(), "people-"));
const home = join(directory, "home");
const place = { home, clock: systemClock };
const { hooks, logged } = recorder();
const admins: Admin[] = [];
let coordinator: Coordinator;

beforeAll(async () => {
  await initCoordinator({ home, federation: "demo", port: 0, enrolPort: 0, metricsPort: 0 });
  coordinator = await startCoordinator({ home, logger: hooks.log });
}, 60_000);
afterEach(() => {
  for (const admin of admins.splice(0)) admin.close();
});
afterAll(async () => {
  await coordinator.stop();
  rmSync(directory, { recursive: true, force: true });
}, 20_000);

function adminOf(tls: TlsBundle): Admin {
  const admin = connectAdmin({ host: "localhost", port: coordinator.ports.main, federation: "demo", tls });
  admins.push(admin);
  return admin;
}

function bundleOf(id: string): TlsBundle {
  const read = (name: string) => readFileSync(join(homePaths(home).credentials, id, name), "utf8");
  return { caPem: read("ca.pem"), certPem: read("cert.pem"), keyPem: read("key.pem") };
}

async function rejections(): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${coordinator.ports.metrics}/metrics`)).text();
  const label = '{method="AdminService/ListRuns",code="certificate-refused"}';
  const [, count = "0"] = new RegExp(`rejected_inputs_total${label} (\\d+)`).exec(page) ?? [];
  return Number(count);
}

describe("people whose certificates count no more", () => {
  it("J: a revoked operator with an open stream is out within five seconds, and not let in again", async () => {
    await issueAtHome(place, { id: "ben", role: "operator", folder: undefined });
    const bundle = bundleOf("ben");
    const [ben, other] = [adminOf(bundle), adminOf(bundleOf("operator"))];
    const { runId } = await ben.launchRun({ requestId: "r", configYaml: JSON.stringify(tinyRun) });
    const stream = ben.watchRun(runId, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
    await stream.next();
    const { certPem: cert, keyPem: key, caPem: ca } = bundle;
    const idle = connectHttp2(`https://localhost:${coordinator.ports.main}`, { ca, cert, key });
    await once(idle, "remoteSettings");
    const closed = once(idle, "close");
    const counted = await rejections();

    const startedMs = performance.now();
    await revokeAtHome(place, "ben");
    await expect(ben.listRuns()).rejects.toMatchObject({
      code: "certificate-refused",
      message: expect.stringContaining("operator ben was revoked"),
    });
    expect(await rejections()).toBe(counted + 1);
    await expect(stream.next()).rejects.toMatchObject({ message: expect.stringContaining("revoked") });
    await closed;
    expect(performance.now() - startedMs).toBeLessThan(5000);

    const before = logged.length;
    await expect(adminOf(bundle).listRuns()).rejects.toMatchObject({ message: expect.stringContaining("was revoked") });
    const reasons = logged.slice(before).map(({ fields }) => fields["reason"]);
    expect(reasons).toContain("CERT_REVOKED");
    expect(logged).toContainEqual({ event: "credentials-revoked", fields: { role: "operator", id: "ben" } });
    expect(await other.stopRun(runId)).toMatchObject({ status: "stopped" });
  }, 60_000);

  it("J: the last operator cannot be revoked, and so goes on", async () => {
    await expect(revokeAtHome(place, "operator")).rejects.toMatchObject({ code: "policy-refused" });
    expect(await adminOf(bundleOf("operator")).listRuns()).toHaveLength(1);
  }, 20_000);

  it("J: an operator's certificate that the authority signed and the coordinator never issued is refused", async () => {
    const authority = await loadAuthority(homePaths(home).authority);
    const { publicKeyPem, privateKeyPem: keyPem } = await generateTlsKey();
    const identity = { federation: "demo", role: "operator", id: "operator" } as const;
    const { certificatePem: certPem } = authority.issueLeaf({ identity, publicKeyPem, validForMs: 3_600_000 });
    const forged = adminOf({ caPem: authority.trustPem, certPem, keyPem });
    await expect(forged.listRuns()).rejects.toMatchObject({ code: "certificate-refused" });
  }, 20_000);

  it("lets new and renewed credentials in at once, beside those from before", async () => {
    const before = adminOf(bundleOf("researcher"));
    await renewAtHome(place, { id: "researcher", folder: undefined });
    await issueAtHome(place, { id: "ben", role: "operator", folder: undefined });
    for (const admin of [before, adminOf(bundleOf("researcher")), adminOf(bundleOf("ben"))]) {
      expect(await admin.listRuns()).toHaveLength(1);
    }
    expect((await listAtHome(place)).map(({ id, status }) => [id, status])).toEqual([
      ["ben", "valid"],
      ["operator", "valid"],
      ["researcher", "valid"],
    ]);
  }, 30_000);

  it("J: an operator that was revoked while the coordinator was away is not let in when it is back", async () => {
    await coordinator.stop();
    await revokeAtHome(place, "ben");
    coordinator = await startCoordinator({ home, logger: hooks.log });
    const before = logged.length;
    await expect(adminOf(bundleOf("ben")).listRuns()).rejects.toMatchObject({ code: "certificate-refused" });
    expect(logged.slice(before).map(({ fields }) => fields["reason"])).toContain("CERT_REVOKED");
  }, 20_000);

  it("knows those whose folders lie in a home from before certificates were written down, and nobody else", async () => {
    await issueAtHome(place, { id: "ben", role: "operator", folder: undefined });
    await coordinator.stop();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${homePaths(home).database}${suffix}`, { force: true });
    coordinator = await startCoordinator({ home, logger: hooks.log });
    for (const id of ["operator", "researcher"]) expect(await adminOf(bundleOf(id)).listRuns()).toEqual([]);
    await expect(adminOf(bundleOf("ben")).listRuns()).rejects.toMatchObject({ code: "certificate-refused" });
  }, 30_000);
});
