import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { ManualClock } from "@consilium/shared/clock.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { saveTlsBundle, type TlsBundle } from "@consilium/shared/identity/key-files.js";
import { testGovernance, testRoster } from "@consilium/shared/roster/example-governance.js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startConnectProxy } from "../../../test/support/connect-proxy.js";
import { createTestFederation, dayMs, type TestFederation } from "../../../test/support/identities.js";
import { linesOf, rewrite, someEvent, testIdentity, testLog } from "../audit/test-log.js";
import { RosterFiles } from "../governance/roster-files.js";
import { type SiteHome, siteHome } from "../home.js";
import { examplePolicy } from "../test-plans.js";
import { diagnoseSite } from "./diagnose-site.js";
import { judgeSpace } from "./storage.js";

const trust = testGovernance();
let federation: TestFederation;
let home: SiteHome;
let server: Server;
let port: number;
let environment: Record<string, string>;

beforeAll(async () => {
  federation = await createTestFederation();
});
afterAll(() => federation.remove());

/** A joined home of which everything is in order, and a coordinator that greets. */
beforeEach(async () => {
  environment = {};
  home = siteHome(mkdtempSync(join(tmpdir(), "doctor-")));
  mkdirSync(home.identity.directory, { recursive: true });
  await testIdentity.save(home.identity.identityKey);
  await saveTlsBundle(home.identity.directory, await federation.bundle("site", "a"));
  port = await serve(await federation.bundle("coordinator", "coordinator"));
  writeEnrolment({});
  mkdirSync(join(home.root, "images"));
  writeFileSync(join(home.root, "images", "1.png"), "");
  writeFileSync(home.siteYaml, "data: { source: folder, path: images }\n");
  writePolicy({});
  new RosterFiles(home.governance).pin(testRoster({ a: testIdentity.publicKey }, trust));
  const log = testLog(home.audit);
  log.record(someEvent());
  log.close();
});
afterEach(() => {
  server.close();
});

function serve({ certPem: cert, keyPem: key, caPem: ca }: TlsBundle): Promise<number> {
  const started = createTlsServer({ cert, key, ca, ALPNProtocols: ["h2"], requestCert: true }, (socket) => {
    socket.on("error", () => {});
    socket.write("\0\0\0\u0004\0\0\0\0\0");
  });
  started.on("tlsClientError", () => {});
  server = started;
  return new Promise((resolve) => {
    started.listen(0, "127.0.0.1", () => resolve((started.address() as AddressInfo).port));
  });
}

function writeEnrolment(changes: object): void {
  const facts = { version: 1, federation: "demo", siteId: "a", host: "127.0.0.1", port };
  writeFileSync(home.identity.enrolment, JSON.stringify({ ...facts, planPublicKey: "00".repeat(32), ...changes }));
}

function writePolicy(changes: object): void {
  const { keys, threshold } = trust.governance;
  writeFileSync(home.policyYaml, JSON.stringify({ ...examplePolicy, governance: { keys, threshold }, ...changes }));
}

const diagnose = (nowMs = Date.now()) => diagnoseSite({ home, clock: new ManualClock(nowMs), environment });

/** What is not in order, the disk of the machine that runs the test aside. */
async function faults(nowMs?: number) {
  const findings = await diagnose(nowMs);
  return findings.filter(({ level, name }) => level !== "ok" && name !== "disk");
}

describe("diagnoseSite", () => {
  it("finds nothing where nothing is wrong", async () => {
    expect(await faults()).toEqual([]);
    expect((await diagnose()).map(({ name }) => name)).toEqual([
      ...["enrolment", "settings", "identity key", "key files", "certificate", "policy", "roster", "images", "disk"],
      "audit log",
      ...["coordinator: name", "coordinator: port", "coordinator: TLS"],
    ]);
  });

  it("looks no further where no site has joined", async () => {
    rmSync(home.identity.enrolment);
    expect(await diagnose()).toEqual([
      expect.objectContaining({ name: "enrolment", level: "failed", remedy: expect.stringContaining("join") }),
    ]);
  });

  it("names keys that others on the machine may read", async () => {
    const key = join(home.identity.directory, "key.pem");
    chmodSync(key, 0o644);
    const [found, ...others] = await faults();
    expect(others).toEqual([]);
    expect(found).toMatchObject({ name: "key files", level: "warning", message: expect.stringContaining(key) });
    expect(found?.remedy).toContain(`chmod 600 ${key};`);
    expect(found?.message).not.toContain(home.identity.identityKey);
  });

  it("does not blame the coordinator for a certificate and a key that do not belong together", async () => {
    await testIdentity.save(join(home.identity.directory, "key.pem"));
    expect((await faults()).at(-1)).toMatchObject({
      ...{ name: "coordinator: TLS", level: "failed", message: expect.stringContaining("was not tried") },
    });
  });

  it("says how far the clock is from the certificate's dates", async () => {
    const [early] = await faults(Date.now() - 3 * dayMs);
    expect(early).toMatchObject({ name: "certificate", level: "failed" });
    expect(early?.message).toMatch(/clock is (2 d|3 d|7[12] h).* behind or more/);
    const [late] = await faults(Date.now() + 3 * dayMs);
    expect(late?.message).toMatch(/it expired on .* ago by this machine's clock/);
    const [overdue] = await faults(Date.now() + 0.9 * dayMs);
    expect(overdue).toMatchObject({ name: "certificate", level: "warning" });
    expect(overdue?.message).toContain("should have been renewed");
  });

  it("refuses a certificate that is another site's", async () => {
    await saveTlsBundle(home.identity.directory, await federation.bundle("site", "b"));
    expect((await faults())[0]).toMatchObject({ name: "certificate", level: "failed" });
  });

  it.each([
    ["another federation", { federation: "other" }, "it follows plans of other"],
    ["no governance key", { governance: { keys: [], threshold: 1 } }, "it pins no governance key"],
    ["an unknown key", { joobs: {} }, "unknown key 'joobs'"],
  ])("names %s in the policy", async (_name, changes, message) => {
    writePolicy(changes);
    const found = (await faults()).find(({ name }) => name === "policy");
    expect(found).toMatchObject({ level: "failed", message: expect.stringContaining(message) });
  });

  it("says why the roster does not count", async () => {
    const roster = async (nowMs?: number) => (await faults(nowMs)).find(({ name }) => name === "roster");
    expect((await roster(Date.UTC(2101, 0, 1)))?.message).toContain("was valid until 2100-01-15");
    const pinned = join(home.governance, "pinned.json");
    rmSync(pinned);
    expect(await roster()).toMatchObject({ level: "failed", message: expect.stringContaining("none is followed") });
    new RosterFiles(home.governance).pin(testRoster({ a: IdentityKey.generate().publicKey }, trust));
    expect((await roster())?.message).toContain("does not name a with this site's key");
    rmSync(pinned);
    new RosterFiles(home.governance).pin(testRoster({ a: testIdentity.publicKey }, testGovernance()));
    expect((await roster())?.message).toContain("too few of the keys");
    rmSync(pinned);
    new RosterFiles(home.governance).keepWaiting(testRoster({ a: testIdentity.publicKey }, trust));
    expect((await roster())?.message).toContain("one waits for a person");
  });

  it("finds images that are gone, and a log that was changed", async () => {
    rmSync(join(home.root, "images", "1.png"));
    expect(await faults()).toMatchObject([{ name: "images", message: expect.stringContaining("is empty") }]);
    rmSync(join(home.root, "images"), { recursive: true });
    expect(await faults()).toMatchObject([{ name: "images", message: expect.stringMatching(/images is not there$/) }]);
    mkdirSync(join(home.root, "images", "more"), { recursive: true });
    rewrite(home.audit, linesOf(home.audit).slice(1));
    expect(await faults()).toMatchObject([{ name: "audit log", level: "failed" }]);
    rmSync(home.audit, { recursive: true });
    expect(await faults()).toMatchObject([{ name: "audit log", level: "warning" }]);
  });

  it("tells apart where the way to the coordinator ends", async () => {
    writeEnrolment({ host: "no-such-host.invalid" });
    expect(await faults()).toMatchObject([
      { name: "coordinator: name", message: expect.stringContaining("no address") },
    ]);
    const other = await createTestFederation({ federation: "demo", key: federation.key });
    server.close();
    port = await serve(await other.bundle("coordinator", "coordinator"));
    writeEnrolment({});
    const [inspected] = await faults();
    expect(inspected).toMatchObject({
      name: "coordinator: TLS",
      message: expect.stringContaining("another authority"),
    });
    expect(inspected?.remedy).toContain("proxy");
    await other.remove();
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port: unused } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    writeEnrolment({ port: unused });
    expect(await faults()).toMatchObject([
      { name: "coordinator: port", message: `Nothing listens on 127.0.0.1:${unused}.` },
    ]);
  });

  it("goes through the proxy of site.yaml or of the environment, and says what is wrong with it", async () => {
    const proxy = await startConnectProxy({ credentials: "agent:secret" });
    const settings = (text: string) =>
      writeFileSync(home.siteYaml, `data: { source: folder, path: images }\ncoordinator: ${text}\n`);
    try {
      settings(`{ proxy: "http://127.0.0.1:${proxy.port}" }`);
      const [login] = await faults();
      expect(login).toMatchObject({ name: "proxy", message: expect.stringContaining("wants a user and password") });
      settings(`{ proxy: "http://127.0.0.1:${proxy.port}", proxyCredentials: secret }`);
      writeFileSync(join(home.root, "secret"), "agent:secret\n", { mode: 0o600 });
      expect(await faults()).toEqual([]);
      const way = (await diagnose()).slice(-2);
      expect(way.map(({ name }) => name)).toEqual(["proxy", "coordinator: TLS"]);
      expect(way[0]?.message).toBe(`127.0.0.1:${proxy.port} opens a tunnel to 127.0.0.1:${port}`);
      expect(proxy.tunnels).toContain(`127.0.0.1:${port}`);
      chmodSync(join(home.root, "secret"), 0o644);
      expect((await faults())[0]?.message).toContain("other accounts can read");
      rmSync(join(home.root, "secret"));
      expect((await faults())[0]?.message).toContain("ENOENT");
      settings("{ proxy: environment }");
      environment = { https_proxy: `http://agent:secret@127.0.0.1:${proxy.port}` };
      expect(await faults()).toEqual([]);
      environment = { https_proxy: "http://127.0.0.1:1" };
      expect((await faults())[0]?.message).toBe(
        "Nothing listens where the proxy should be: 127.0.0.1:1 (ECONNREFUSED).",
      );
      settings("{ proxy: none }");
      expect(await faults()).toEqual([]);
      settings(`{ proxy: "http://agent:secret@127.0.0.1:3128" }`);
      const [shown] = await faults();
      expect(shown?.message).toContain("passwords do not belong here");
      expect(JSON.stringify(await diagnose())).not.toContain("agent:secret");
    } finally {
      await proxy.stop();
    }
  });

  it("changes nothing in the home", async () => {
    rmSync(home.audit, { recursive: true });
    const before = readdirSync(home.root, { recursive: true });
    await diagnose();
    expect(readdirSync(home.root, { recursive: true })).toEqual(before);
  });
});

describe("judgeSpace", () => {
  it("warns before the disk is full", () => {
    const levels = [0, 2 ** 29 - 1, 2 ** 29, 2 ** 32, 2 ** 33].map((free) => judgeSpace("home", free).level);
    expect(levels).toEqual(["failed", "failed", "warning", "warning", "ok"]);
  });
});
