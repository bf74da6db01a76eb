import { X509Certificate } from "node:crypto";
import { connect as connectHttp2, type Settings } from "node:http2";
import { connect as tlsConnect } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, dayMs, type TestFederation } from "../../../test/support/identities.js";
import { malformedLeaf } from "../../../test/support/malformed-certificates.js";
import { type Rig, type RigOptions, siteTable, startRig } from "../../../test/support/rpc-rig.js";
import { spkiPin } from "../identity/invitation.js";
import type { TlsBundle } from "../identity/key-files.js";
import { silentLogger } from "../log.js";
import { callServerStream, callUnary } from "./calls.js";
import { EnrolmentServiceClient, EnrolmentServiceService, SitePhase } from "./gen/federation.js";
import { openPinnedChannel } from "./pinned-channel.js";
import { diagnoseConnection } from "./probe.js";
import { wrapServerStream, wrapUnary } from "./serve-call.js";
import { createServer } from "./server.js";
import { TlsServerCredentials } from "./server-credentials.js";

let test: TestFederation;
let other: TestFederation;
let rig: Rig | undefined;
const refusals: Rig[] = [];

beforeAll(async () => {
  test = await createTestFederation();
  other = await createTestFederation({ federation: "other", key: test.key });
});
afterEach(async () => {
  await rig?.stop();
  rig = undefined;
});
afterAll(async () => {
  await Promise.all(refusals.map((started) => started.stop()));
  await Promise.all([test.remove(), other.remove()]);
});

const report = {
  key: undefined,
  siteId: "hospital-a",
  phase: SitePhase.TRAINING,
  code: "",
  clause: "",
  stepsDone: 1,
  accused: "",
};

/** A rig whose only handler counts how often it ran. */
async function countingRig(options: Partial<RigOptions> = {}) {
  let handled = 0;
  const started = await startRig({
    test,
    federation: (hooks) => ({
      report: wrapUnary(() => {
        handled += 1;
        return {};
      }, hooks),
    }),
    ...options,
  });
  return { started, handled: () => handled };
}

async function callAs(started: Rig, bundle: TlsBundle): Promise<unknown> {
  const { federation } = started.connect(bundle);
  return callUnary(federation.report.bind(federation), report, { timeoutMs: 5000 }).then(
    () => "answered",
    (error: unknown) => error,
  );
}

/** How a caller fares that goes on talking, whatever it is told: "closed", or "kept" after three seconds. */
function talkative(port: number, { caPem: ca, certPem: cert, keyPem: key }: TlsBundle): Promise<string> {
  return new Promise((resolve) => {
    const halfOpen = { allowHalfOpen: true };
    const socket = tlsConnect({ host: "localhost", port, ca, cert, key, ALPNProtocols: ["h2"], ...halfOpen });
    const talk = setInterval(() => socket.write("and"), 200);
    const patience = setTimeout(() => end("kept"), 3000);
    const end = (how: string) => {
      clearInterval(talk);
      clearTimeout(patience);
      socket.destroy();
      resolve(how);
    };
    socket.resume();
    socket.on("error", () => {});
    socket.once("close", () => end("closed"));
  });
}

describe("main server", () => {
  it("answers a site with a good certificate", async () => {
    const { started, handled } = await countingRig();
    rig = started;
    expect(await callAs(rig, await test.bundle("site", "hospital-a"))).toBe("answered");
    expect(handled()).toBe(1);
  });

  const hostile: [string, () => Promise<TlsBundle>, { code: string; reason: string }][] = [
    [
      "another CA",
      async () => ({ ...(await other.bundle("site", "hospital-a")), caPem: test.authority.certificatePem }),
      { code: "unreachable", reason: "own-refused" },
    ],
    [
      "an expired certificate",
      () => test.bundle("site", "hospital-a", { issuedAtMs: Date.now() - 2 * dayMs }),
      { code: "unreachable", reason: "own-expired" },
    ],
    [
      "a certificate not yet valid",
      () => test.bundle("site", "hospital-a", { issuedAtMs: Date.now() + dayMs }),
      { code: "unreachable", reason: "own-not-yet-valid" },
    ],
    [
      "a server's certificate",
      () => test.bundle("coordinator", "coordinator"),
      { code: "unreachable", reason: "own-refused" },
    ],
    [
      "a serverAuth-only site",
      () => malformedLeaf(test, { extKeyUsage: { serverAuth: true } }),
      { code: "unreachable", reason: "own-refused" },
    ],
    [
      "a leaf signed by a leaf",
      async () => malformedLeaf(test, { issuer: await test.bundle("site", "hospital-b") }),
      { code: "unreachable", reason: "own-refused" },
    ],
    ["the role of a researcher", () => test.bundle("researcher", "r1"), { code: "not-authorised", reason: "ok" }],
    [
      "another federation's name",
      () => malformedLeaf(test, { altNames: [{ type: 6, value: "fed://other/site/hospital-a" }] }),
      { code: "certificate-refused", reason: "ok" },
    ],
    [
      "two URIs",
      () =>
        malformedLeaf(test, {
          altNames: [
            { type: 6, value: "fed://demo/site/hospital-a" },
            { type: 6, value: "fed://demo/operator/root" },
          ],
        }),
      { code: "certificate-refused", reason: "own-refused" },
    ],
    ["no name", () => malformedLeaf(test, { altNames: [] }), { code: "certificate-refused", reason: "own-refused" }],
    [
      "a CA as leaf",
      () => malformedLeaf(test, { certificateAuthority: true }),
      { code: "certificate-refused", reason: "own-refused" },
    ],
    [
      "no extended key usage",
      () => malformedLeaf(test, { extKeyUsage: "none" }),
      { code: "certificate-refused", reason: "own-refused" },
    ],
  ];

  it.each(hostile)("refuses %s before any handler runs, and the caller learns why", async (_what, make, expected) => {
    const { started, handled } = await countingRig();
    rig = started;
    const bundle = await make();
    expect(await callAs(rig, bundle)).toMatchObject({ code: expected.code });
    expect(handled()).toBe(0);
    expect(rig.recorder.rejected.length).toBeGreaterThan(0);
    if (expected.code !== "unreachable") return;
    const refused = rig.recorder.logged.find(({ event }) => event === "rpc.handshake-refused");
    expect(refused?.fields["reason"]).toMatch(/^(CERT_|UNABLE_TO_VERIFY|INVALID_PURPOSE|UNSPECIFIED)/);
    const found = await diagnoseConnection({ host: "localhost", port: rig.port, federation: "demo", bundle });
    expect(found.reason).toBe(expected.reason);
  });

  it("refuses a connection without a certificate, with TLS 1.2, or without TLS", async () => {
    const { started, handled } = await countingRig();
    rig = started;
    const { caPem, certPem, keyPem } = await test.bundle("site", "hospital-a");
    const outcome = (options: object) =>
      new Promise<string>((resolve) => {
        const socket = tlsConnect({
          host: "localhost",
          port: started.port,
          ca: caPem,
          ALPNProtocols: ["h2"],
          ...options,
        });
        socket.once("data", (bytes: Buffer) => resolve(bytes[3] === 4 ? "accepted" : bytes.toString("latin1")));
        socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
        socket.once("close", () => resolve("closed"));
      });
    expect(await outcome({})).toMatch(/certificate-required$/);
    expect(await outcome({ cert: certPem, key: keyPem, maxVersion: "TLSv1.2" })).toBe(
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    );
    expect(await outcome({ cert: certPem, key: keyPem })).toBe("accepted");
    expect(handled()).toBe(0);
    expect(rig.recorder.rejected).toContainEqual({ method: "tls", code: "certificate-refused" });
  });

  it("offers windows that are wide enough for long distances, and narrow limits for the rest", async () => {
    const { started } = await countingRig();
    rig = started;
    const { caPem: ca, certPem: cert, keyPem: key } = await test.bundle("site", "hospital-a");
    const session = connectHttp2(`https://localhost:${rig.port}`, { ca, cert, key });
    const settings = await new Promise<Settings>((resolve) => session.once("remoteSettings", resolve));
    expect(settings).toMatchObject({ initialWindowSize: 2 << 20, maxConcurrentStreams: 64, maxHeaderListSize: 16_384 });
    await expect.poll(() => session.state.remoteWindowSize).toBe(4 << 20);
    await new Promise<void>((resolve) => session.close(resolve));
  });

  it("tells a revoked caller so, and lets it get no further however it goes on talking", async () => {
    const started = await startRig({ test });
    rig = started;
    const bundle = await test.bundle("site", "hospital-a");
    const serial = new X509Certificate(bundle.certPem).serialNumber;
    const revocationLists = test.authority.revocationLists([{ serial, revokedAtMs: Date.now() }], dayMs);
    started.credentials.reload({ ...(await test.bundle("coordinator", "coordinator")), revocationLists });
    const found = (shown: TlsBundle) =>
      diagnoseConnection({ host: "localhost", port: started.port, federation: "demo", bundle: shown });
    expect(await found(bundle)).toMatchObject({
      reason: "own-revoked",
      message: expect.stringContaining("was revoked"),
    });
    expect((await found(await test.bundle("site", "hospital-b"))).reason).toBe("ok");
    const foreign = await createTestFederation({ federation: "demo", key: test.key });
    const theirs = { ...(await foreign.bundle("site", "hospital-a")), caPem: bundle.caPem };
    expect((await found(theirs)).reason).toBe("own-refused");
    await foreign.remove();
    expect(await talkative(started.port, bundle)).toBe("closed");
    const { channel } = started.connect(bundle);
    await expect(channel.ready(1500)).rejects.toMatchObject({ code: "unreachable" });
    const said = started.recorder.logged.filter(({ event }) => event === "rpc.handshake-refused");
    expect(said.some(({ fields }) => fields["reason"] === "CERT_REVOKED")).toBe(true);
    expect(started.recorder.finished).toEqual([]);
  });

  it("refuses every call of a revoked site at once, also on an open connection, and ends its streams", async () => {
    let revoked = false;
    rig = await startRig({
      test,
      authorisation: { isRevoked: () => revoked },
      federation: (hooks) => ({
        attach: wrapServerStream(async function* (_request, { signal }) {
          yield { kind: { $case: "heartbeat", value: { sentAtMs: 1 } } };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        }, hooks),
      }),
    });
    const { federation } = rig.connect(await test.bundle("site", "hospital-a"));
    const stream = callServerStream(federation.attach.bind(federation), { siteId: "hospital-a", agentVersion: "1" });
    expect((await stream.next()).value).toMatchObject({ kind: { $case: "heartbeat" } });
    revoked = true;
    expect(rig.server.shutOut(({ identity }) => identity.id === "hospital-b")).toBe(0);
    expect(rig.server.shutOut(({ identity }) => identity.id === "hospital-a")).toBe(1);
    await expect(stream.next()).rejects.toMatchObject({
      code: "certificate-refused",
      message: expect.stringContaining("revoked"),
    });
    const call = callUnary(federation.report.bind(federation), report);
    await expect(call).rejects.toMatchObject({ code: "certificate-refused" });
  });

  it("does not start with a method that nobody was given", async () => {
    const table = Object.fromEntries(Object.entries(siteTable).slice(1));
    await expect(startRig({ test, authorisation: { table } })).rejects.toMatchObject({ code: "config-invalid" });
  });

  it("keeps connections up while its certificate is replaced", async () => {
    const { started } = await countingRig();
    rig = started;
    const bundle = await test.bundle("site", "hospital-a");
    expect(await callAs(rig, bundle)).toBe("answered");
    rig.credentials.reload(await test.bundle("coordinator", "renewed"));
    expect(await callAs(rig, bundle)).toBe("answered");
    expect(() => started.credentials.reload({ ...bundle, keyPem: "nonsense" })).toThrowError(
      expect.objectContaining({ code: "config-invalid" }),
    );
    expect(await callAs(rig, bundle)).toBe("answered");
  });

  it("stops although a stream is open", async () => {
    rig = await startRig({
      test,
      federation: (hooks) => ({
        attach: wrapServerStream(async function* (_request, { signal }) {
          yield { kind: undefined };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        }, hooks),
      }),
    });
    const { federation } = rig.connect(await test.bundle("site", "hospital-a"));
    const stream = callServerStream(federation.attach.bind(federation), { siteId: "hospital-a", agentVersion: "1" });
    await stream.next();
    const ended = stream.next().catch((error: unknown) => error);
    await rig.server.stop();
    expect(await ended).toMatchObject({ code: "unreachable" });
  });

  it("says when its address is taken", async () => {
    const { started } = await countingRig();
    rig = started;
    const second = createServer({
      host: "127.0.0.1",
      port: started.port,
      credentials: started.credentials,
      services: [],
      authorisation: "open",
      hooks: { log: silentLogger },
    });
    await expect(second.start()).rejects.toMatchObject({ code: "unreachable" });
  });
});

describe("enrolment server", () => {
  const reply = { certificatePem: "", caPem: "", federation: "demo", planPublicKey: Buffer.alloc(32) };

  async function enrolmentServer(context?: (method: string) => void) {
    const bundle = await test.bundle("coordinator", "coordinator");
    const hooks = { log: silentLogger };
    const server = createServer({
      host: "127.0.0.1",
      port: 0,
      credentials: TlsServerCredentials.enrolment(bundle),
      services: [
        {
          definition: EnrolmentServiceService,
          implementation: {
            enrol: wrapUnary((_request, call) => {
              context?.(call.identity.id);
              return reply;
            }, hooks),
          },
        },
      ],
      authorisation: "open",
      hooks,
      drainMs: 200,
    });
    return { server, port: await server.start(), pin: spkiPin(bundle.certPem) };
  }
  const request = { siteId: "a", csrPem: "", identityPublicKey: Buffer.alloc(32), token: Buffer.alloc(32) };

  it("serves a site that knows only the pin", async () => {
    const { server, port, pin } = await enrolmentServer();
    for (const host of ["localhost", "127.0.0.1"]) {
      const channel = await openPinnedChannel({ host, port, federation: "demo", pin });
      const client = channel.client(EnrolmentServiceClient);
      expect(await callUnary(client.enrol.bind(client), request)).toMatchObject({ federation: "demo" });
      channel.close();
    }
    await server.stop();
  });

  it("refuses a server with another key, of another federation, or none at all", async () => {
    const { server, port, pin } = await enrolmentServer();
    const open = (changes: object) =>
      openPinnedChannel({ host: "localhost", port, federation: "demo", pin, ...changes });
    await expect(open({ pin: new Uint8Array(32) })).rejects.toMatchObject({ code: "certificate-refused" });
    await expect(open({ federation: "other" })).rejects.toMatchObject({ code: "certificate-refused" });
    await server.stop();
    await expect(open({})).rejects.toMatchObject({ code: "unreachable" });
  });

  it("gives a handler no identity where there is no certificate", async () => {
    const { server, port, pin } = await enrolmentServer(() => {});
    const channel = await openPinnedChannel({ host: "localhost", port, federation: "demo", pin });
    const client = channel.client(EnrolmentServiceClient);
    await expect(callUnary(client.enrol.bind(client), request)).rejects.toMatchObject({ code: "not-authorised" });
    channel.close();
    await server.stop();
  });
});
