import { generateKeyPairSync } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer, type Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, dayMs, type TestFederation } from "../../../test/support/identities.js";
import { ManualClock } from "../clock.js";
import type { TlsBundle } from "../identity/key-files.js";
import { diagnoseConnection, type ProbeOptions } from "./probe.js";

let test: TestFederation;
let own: TlsBundle;
let server: Server | undefined;
beforeAll(async () => {
  test = await createTestFederation();
  own = await test.bundle("site", "hospital-a");
});
afterEach(() => {
  server?.close();
  server = undefined;
});
afterAll(() => test.remove());

function listening(started: Server): Promise<number> {
  server = started;
  return new Promise((resolve) => {
    started.listen(0, "127.0.0.1", () => resolve((started.address() as AddressInfo).port));
  });
}

/** Greets as an HTTP/2 server does, as soon as the handshake is over. */
function tlsServer(bundle: TlsBundle, options: object = {}): Promise<number> {
  const { certPem: cert, keyPem: key, caPem: ca } = bundle;
  const started = createTlsServer({ cert, key, ca, ALPNProtocols: ["h2"], ...options }, (socket) => {
    socket.on("error", () => {});
    socket.write("\0\0\0\u0004\0\0\0\0\0");
  });
  started.on("tlsClientError", () => {});
  return listening(started);
}

const diagnose = (port: number, changes: Partial<ProbeOptions> = {}) =>
  diagnoseConnection({ host: "localhost", port, federation: "demo", bundle: own, timeoutMs: 3000, ...changes });

describe("diagnoseConnection", () => {
  const coordinator = (options = {}) => test.bundle("coordinator", "coordinator", options);

  it("finds nothing wrong where nothing is", async () => {
    const port = await tlsServer(await coordinator(), { requestCert: true });
    expect(await diagnose(port)).toMatchObject({ reason: "ok" });
    expect(await diagnose(port, { host: "127.0.0.1" })).toMatchObject({ reason: "ok" });
  });

  it("tells apart what can be wrong with the server", async () => {
    const other = await createTestFederation({ federation: "demo", key: test.key });
    const found = async (bundle: TlsBundle, options: object = {}) =>
      (await diagnose(await tlsServer(bundle, options))).reason;
    expect(await found(await coordinator({ issuedAtMs: Date.now() - 2 * dayMs }))).toBe("server-expired");
    expect(await found(await coordinator({ issuedAtMs: Date.now() + dayMs }))).toBe("server-not-yet-valid");
    expect(await found(await other.bundle("coordinator", "coordinator"))).toBe("wrong-authority");
    expect(await found(await test.bundle("site", "hospital-b"))).toBe("wrong-role");
    expect(await found(await coordinator(), { maxVersion: "TLSv1.2" })).toBe("not-tls13");
    await other.remove();
  });

  it("names the host that the certificate is not for", async () => {
    const port = await tlsServer(await coordinator());
    const found = await diagnose(port, { serverName: "coordinator.example" });
    expect(found).toMatchObject({ reason: "name-mismatch", message: expect.stringContaining("DNS:localhost") });
  });

  it("tells apart what can be wrong with the network", async () => {
    const closed = await listening(createTcpServer());
    await new Promise((resolve) => server?.close(resolve));
    expect((await diagnose(closed)).reason).toBe("refused");
    expect((await diagnose(closed, { host: "no-such-host.invalid" })).reason).toBe("unreachable");
    const silent = await listening(createTcpServer((socket) => void socket.on("error", () => {})));
    expect((await diagnose(silent, { timeoutMs: 200 })).reason).toBe("timeout");
    const plain = await listening(
      createTcpServer((socket) => void socket.on("error", () => {}).end("HTTP/1.1 400 Bad\r\n\r\n")),
    );
    expect((await diagnose(plain)).reason).toBe("not-tls13");
  });

  it("explains its own certificate when the server shuts the door", async () => {
    const port = await tlsServer(await coordinator(), { requestCert: true, rejectUnauthorized: true });
    const foreign = await createTestFederation({ federation: "demo", key: test.key });
    const theirs = { ...(await foreign.bundle("site", "hospital-a")), caPem: own.caPem };
    const found = await diagnose(port, { bundle: theirs });
    expect(found).toMatchObject({
      reason: "own-refused",
      message: expect.stringContaining("not issued by this federation"),
    });
    const late = await test.bundle("site", "hospital-a", { issuedAtMs: Date.now() + dayMs });
    expect(await diagnose(port, { bundle: late })).toMatchObject({ reason: "own-not-yet-valid" });
    const old = await test.bundle("site", "hospital-a", { issuedAtMs: Date.now() - 2 * dayMs });
    expect(await diagnose(port, { bundle: old })).toMatchObject({ reason: "own-expired" });
    expect(await diagnose(port, { bundle: old, clock: new ManualClock(0) })).toMatchObject({
      reason: "own-not-yet-valid",
    });
    expect(await diagnose(port, { bundle: { ...own, keyPem: "nonsense" } })).toMatchObject({
      reason: "own-unusable",
      message: expect.stringContaining("was not tried"),
    });
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const anothers = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect((await diagnose(port, { bundle: { ...own, keyPem: anothers } })).reason).toBe("own-unusable");
    await foreign.remove();
  });
});
