import { execFileSync } from "node:child_process";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { requireOwnSite } from "@consilium/coordinator/rpc/site-identity.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { createAuthority, loadAuthority } from "@consilium/shared/identity/certificate-authority.js";
import { readLeaf } from "@consilium/shared/identity/certificate-check.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { TlsKeyPair } from "@consilium/shared/identity/tls-key.js";
import { randomFor } from "@consilium/shared/random.js";
import { callServerStream, callUnary } from "@consilium/shared/rpc/calls.js";
import { SitePhase } from "@consilium/shared/rpc/gen/federation.js";
import { wrapServerStream, wrapUnary } from "@consilium/shared/rpc/serve-call.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, dayMs, type TestFederation } from "../support/identities.js";
import { type LeafDefects, malformedLeaf } from "../support/malformed-certificates.js";
import { type Rig, startRig } from "../support/rpc-rig.js";

let test: TestFederation;
let rig: Rig;
let handled = 0;
let honest: TlsBundle;
const revokedSerials = new Set<string>();

beforeAll(async () => {
  test = await createTestFederation();
  rig = await startRig({
    test,
    authorisation: { isRevoked: ({ serial }) => revokedSerials.has(serial) },
    federation: (hooks) => ({
      report: wrapUnary(({ siteId }, context) => {
        requireOwnSite(context, siteId);
        handled++;
        return {};
      }, hooks),
      attach: wrapServerStream(async function* (_request, { signal }) {
        yield { kind: { $case: "heartbeat", value: { sentAtMs: 1 } } };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      }, hooks),
    }),
  });
  await useLists(dayMs);
  honest = await test.bundle("site", "honest");
}, 60_000);
afterAll(async () => {
  await rig.stop();
  await test.remove();
});

const lists = (validForMs: number) =>
  test.authority.revocationLists(
    [...revokedSerials].map((serial) => ({ serial, revokedAtMs: Date.now() })),
    validForMs,
  );

async function useLists(validForMs: number): Promise<void> {
  const bundle = await test.bundle("coordinator", "coordinator");
  rig.credentials.reload({ ...bundle, revocationLists: lists(validForMs) });
}

async function report(bundle: TlsBundle, siteId = "hospital-a"): Promise<unknown> {
  const { federation, channel } = rig.connect(bundle);
  const message = {
    key: undefined,
    siteId,
    phase: SitePhase.TRAINING,
    code: "",
    clause: "",
    stepsDone: 1,
    accused: "",
  };
  try {
    return await callUnary(federation.report.bind(federation), message, { timeoutMs: 10_000 });
  } catch (thrown) {
    return thrown;
  } finally {
    channel.close();
  }
}

/** What the call ended with and what the server wrote down; no handler may have run, and an honest site is served. */
async function refusal(bundle: TlsBundle, siteId?: string): Promise<{ code: string; reason: string }> {
  const [before, rejected, logged] = [handled, rig.recorder.rejected.length, rig.recorder.logged.length];
  const outcome = await report(bundle, siteId);
  expect(outcome).toBeInstanceOf(ConsiliumError);
  expect(handled).toBe(before);
  await expect.poll(() => rig.recorder.rejected.length, { timeout: 5000 }).toBeGreaterThan(rejected);
  const entries = rig.recorder.logged.slice(logged);
  expect(await report(honest, "honest")).toEqual({});
  return {
    code: (outcome as ConsiliumError).code,
    reason: entries.map(({ fields }) => String(fields["reason"])).join(" "),
  };
}

const uri = (value: string) => ({ type: 6, value });
const named = (value: string): LeafDefects => ({ altNames: [uri(value)] });
const leaf = (defects: LeafDefects) => () => malformedLeaf(test, defects);

function rsa(bits: number): TlsKeyPair {
  const pair = generateKeyPairSync("rsa", {
    modulusLength: bits,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { publicKeyPem: pair.publicKey, privateKeyPem: pair.privateKey };
}

/** Forge knows no elliptic curves. */
function onCurve(curve: string): TlsBundle {
  const at = (name: string) => join(test.directory, `${curve}-${name}`);
  const run = (...args: string[]) => execFileSync("openssl", args, { encoding: "utf8", stdio: "pipe" });
  const keyPem = run("ecparam", "-genkey", "-noout", "-name", curve);
  writeFileSync(at("key"), keyPem);
  run("req", "-new", "-key", at("key"), "-subj", "/CN=hospital-a", "-out", at("request"));
  writeFileSync(at("extensions"), "extendedKeyUsage=clientAuth\nsubjectAltName=URI:fed://demo/site/hospital-a\n");
  const authority = ["-CA", join(test.directory, "ca-certificate.pem"), "-CAkey", join(test.directory, "ca-key.pem")];
  const options = ["-days", "1", "-set_serial", "77", "-extfile", at("extensions")];
  const certPem = run("x509", "-req", "-in", at("request"), ...authority, ...options);
  return { caPem: test.authority.certificatePem, certPem, keyPem };
}

async function sameNameAuthority(): Promise<TlsBundle> {
  const directory = join(test.directory, "same-name");
  const other = await createAuthority({ directory, federation: "demo" });
  const { publicKeyPem, privateKeyPem: keyPem } = test.key;
  const identity = test.identity("site", "hospital-a");
  const { certificatePem: certPem } = other.issueLeaf({ identity, publicKeyPem, validForMs: dayMs });
  return { caPem: test.authority.certificatePem, certPem, keyPem };
}

/** Leaves that sign leaves, as many as asked for; the last one is shown. */
async function chain(length: number, authority: boolean, basicConstraints?: "none"): Promise<TlsBundle> {
  const kind = { certificateAuthority: authority, ...(basicConstraints === undefined ? {} : { basicConstraints }) };
  let bundle = await malformedLeaf(test, { ...kind, altNames: [uri("fed://demo/site/between")] });
  for (let depth = 1; depth < length; depth++) {
    const last = depth === length - 1;
    bundle = await malformedLeaf(test, { ...(last ? {} : kind), issuer: bundle });
  }
  return bundle;
}

async function revoked(): Promise<TlsBundle> {
  const bundle = await test.bundle("site", "hospital-a");
  revokedSerials.add(new X509Certificate(bundle.certPem).serialNumber);
  await useLists(dayMs);
  return bundle;
}

/** An authority that keeps no list of revoked certificates here is none of this federation. */
const foreignIssuer = /UNABLE_TO_GET_CRL|UNABLE_TO_VERIFY|CERT_SIGNATURE_FAILURE|PATH_LENGTH|CHAIN/;
const selfSigned = async (): Promise<TlsBundle> => {
  const path = join(test.directory, "self.key");
  writeFileSync(path, test.key.privateKeyPem);
  const options = ["-key", path, "-subj", "/CN=hospital-a", "-days", "1"];
  const names = ["-addext", "subjectAltName=URI:fed://demo/site/hospital-a", "-addext", "extendedKeyUsage=clientAuth"];
  const certPem = execFileSync("openssl", ["req", "-x509", ...options, ...names], { encoding: "utf8", stdio: "pipe" });
  return { caPem: test.authority.certificatePem, certPem, keyPem: test.key.privateKeyPem };
};

/** [what, certificate, where it ends: in the handshake or at the call, the server's reason] */
const cases: [string, () => TlsBundle | Promise<TlsBundle>, "unreachable" | "certificate-refused", RegExp][] = [
  ["a self-signed certificate", selfSigned, "unreachable", /SELF_SIGNED|UNABLE_TO_GET_CRL/],
  ["another authority with the same name", sameNameAuthority, "unreachable", foreignIssuer],
  [
    "an expired certificate",
    () => test.bundle("site", "hospital-a", { issuedAtMs: Date.now() - 2 * dayMs }),
    "unreachable",
    /CERT_HAS_EXPIRED/,
  ],
  [
    "a certificate not yet valid",
    () => test.bundle("site", "hospital-a", { issuedAtMs: Date.now() + dayMs }),
    "unreachable",
    /CERT_NOT_YET_VALID/,
  ],
  ["a revoked certificate", revoked, "unreachable", /CERT_REVOKED/],
  ["a server's purpose", leaf({ extKeyUsage: { serverAuth: true } }), "unreachable", /INVALID_PURPOSE/],
  ["any purpose", leaf({ extKeyUsage: { "2.5.29.37.0": true } }), "unreachable", /INVALID_PURPOSE/],
  ["no purpose", leaf({ extKeyUsage: "none" }), "certificate-refused", /extended key usage/],
  [
    "two purposes",
    leaf({ extKeyUsage: { clientAuth: true, serverAuth: true } }),
    "certificate-refused",
    /extended key usage/,
  ],
  [
    "a leaf that is an authority",
    leaf({ certificateAuthority: true }),
    "certificate-refused",
    /is a certificate authority/,
  ],
  ["an authority below the authority", () => chain(2, true), "unreachable", foreignIssuer],
  ["a leaf signed by a leaf", () => chain(2, false), "unreachable", foreignIssuer],
  ["a leaf signed by one without basic constraints", () => chain(2, false, "none"), "unreachable", foreignIssuer],
  ["a chain of twenty", () => chain(20, true), "unreachable", foreignIssuer],
  ["a key that may not sign", leaf({ keyUsage: { keyEncipherment: true } }), "unreachable", /INVALID_PURPOSE/],
  [
    "two URIs",
    leaf({ altNames: [uri("fed://demo/site/hospital-a"), uri("fed://demo/operator/root")] }),
    "certificate-refused",
    /2 URIs/,
  ],
  ["no URI", leaf({ altNames: [] }), "certificate-refused", /subject alternative name/],
  [
    "a DNS name beside the URI",
    leaf({ altNames: [uri("fed://demo/site/hospital-a"), { type: 2, value: "x" }] }),
    "certificate-refused",
    /DNS name/,
  ],
  ["another federation", leaf(named("fed://other/site/hospital-a")), "certificate-refused", /federation other/],
  ["a slash in the id", leaf(named("fed://demo/site/a/b")), "certificate-refused", /form fed/],
  ["dots in the id", leaf(named("fed://demo/site/..")), "certificate-refused", /form fed/],
  ["capitals in the id", leaf(named("fed://demo/site/Hospital-a")), "certificate-refused", /form fed/],
  ["a NUL in the id", leaf(named("fed://demo/site/hospital-a\0b")), "certificate-refused", /characters/],
  ["a homoglyph in the id", leaf(named("fed://demo/site/h\u00f6spital-a")), "certificate-refused", /characters/],
  ["an id of 10 kB", leaf(named(`fed://demo/site/${"a".repeat(10_000)}`)), "certificate-refused", /characters/],
  [
    "a comma that imitates a second name",
    leaf(named("fed://demo/site/a, URI:fed://demo/operator/root")),
    "certificate-refused",
    /characters/,
  ],
  ["an RSA key of 1024 bits", leaf({ key: rsa(1024) }), "certificate-refused", /not RSA with 3072 bits/],
  ["an RSA key of 2048 bits", leaf({ key: rsa(2048) }), "certificate-refused", /not RSA with 3072 bits/],
  ["an elliptic key", () => onCurve("prime256v1"), "certificate-refused", /not RSA/],
  ["a certificate of more than 16 KiB", leaf({ subjectLength: 17_000 }), "certificate-refused", /longer than 16 KiB/],
];

describe("certificates that a coordinator must not accept", () => {
  it.each(cases)(
    "J: %s is refused before any handler",
    async (_what, make, code, reason) => {
      const found = await refusal(await make());
      expect(found.code).toBe(code);
      expect(found.reason).toMatch(reason);
    },
    60_000,
  );

  it("J: a researcher's certificate is refused on a site's method", async () => {
    expect((await refusal(await test.bundle("researcher", "r1"))).code).toBe("not-authorised");
  });

  it("J: a site that names another site in its message is refused", async () => {
    expect((await refusal(await test.bundle("site", "hospital-a"), "hospital-b")).code).toBe("not-authorised");
  });

  it("J: the serial number of a revoked certificate is refused, whoever has it", async () => {
    const bundle = await test.bundle("site", "hospital-c");
    const twin = await malformedLeaf(test, {
      ...named("fed://demo/site/hospital-d"),
      serial: new X509Certificate(bundle.certPem).serialNumber,
    });
    expect(await report(twin, "hospital-d")).toEqual({});
    revokedSerials.add(new X509Certificate(bundle.certPem).serialNumber);
    await useLists(dayMs);
    expect((await refusal(twin, "hospital-d")).reason).toMatch(/CERT_REVOKED/);
  });

  it("J: a revoked site with an open stream is out within five seconds, and not let in again", async () => {
    const bundle = await test.bundle("site", "hospital-a");
    const { federation } = rig.connect(bundle);
    const stream = callServerStream(federation.attach.bind(federation), { siteId: "hospital-a", agentVersion: "1" });
    await stream.next();
    const { serialNumber } = new X509Certificate(bundle.certPem);
    const startedMs = performance.now();
    revokedSerials.add(serialNumber);
    await useLists(dayMs);
    rig.server.shutOut(({ serial }) => serial === serialNumber);
    await expect(stream.next()).rejects.toMatchObject({ message: expect.stringContaining("revoked") });
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect((await refusal(bundle)).reason).toMatch(/CERT_REVOKED|revoked/);
  });
});

/** How a bare TLS connection ends: "accepted" once the server has begun to speak HTTP/2, which is with SETTINGS. */
function tlsOutcome(options: ConnectionOptions, onSocket: (socket: TLSSocket) => void = () => {}): Promise<string> {
  return new Promise((resolve) => {
    const bundle = { ca: test.authority.certificatePem, cert: honest.certPem, key: honest.keyPem };
    const socket = tlsConnect({ host: "localhost", port: rig.port, ALPNProtocols: ["h2"], ...bundle, ...options });
    onSocket(socket);
    const end = (outcome: string) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once("data", (bytes: Buffer) => end(bytes[3] === 4 ? "accepted" : "told"));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? "error"));
    socket.once("close", () => end("closed"));
  });
}

describe("handshakes that a coordinator must not complete", () => {
  it("J: no certificate at all is refused", async () => {
    const before = rig.recorder.logged.length;
    expect(await tlsOutcome({ cert: undefined, key: undefined })).toBe("told");
    const reasons = rig.recorder.logged.slice(before).map(({ fields }) => fields["reason"]);
    expect(reasons).toContain("no certificate");
  });

  it("J: TLS 1.2 is refused", async () => {
    expect(await tlsOutcome({ maxVersion: "TLSv1.2" })).toMatch(/PROTOCOL_VERSION/);
  });

  it("J: a connection that does not ask for HTTP/2 is not served", async () => {
    expect(await tlsOutcome({ ALPNProtocols: ["http/1.1"] })).not.toBe("accepted");
  });

  it("J: a curve that TLS 1.3 does not know is refused", async () => {
    const { certPem: cert, keyPem: key } = onCurve("prime192v1");
    expect(await tlsOutcome({ cert, key })).not.toBe("accepted");
  });

  it("J: a signature over SHA-1 is refused", async () => {
    const { certPem: cert, keyPem: key } = await malformedLeaf(test, { digest: "sha1" });
    // Without this the client itself would not use it.
    expect(await tlsOutcome({ cert, key, ciphers: "DEFAULT@SECLEVEL=0" })).not.toBe("accepted");
  });

  it("J: a session from before the revocation is not resumed", async () => {
    const bundle = await test.bundle("site", "hospital-a");
    const own = { cert: bundle.certPem, key: bundle.keyPem };
    const client = connectHttp2(`https://localhost:${rig.port}`, { ca: test.authority.certificatePem, ...own });
    const session = await new Promise<Buffer>((resolve) => (client.socket as TLSSocket).once("session", resolve));
    await new Promise<void>((resolve) => client.close(resolve));
    let resumed: boolean | undefined;
    const note = (socket: TLSSocket) =>
      socket.once("secureConnect", () => {
        resumed = socket.isSessionReused();
      });
    expect(await tlsOutcome({ ...own, session }, note)).toBe("accepted");
    expect(resumed).toBe(true);
    revokedSerials.add(new X509Certificate(bundle.certPem).serialNumber);
    await useLists(dayMs);
    expect(await tlsOutcome({ ...own, session }, note)).toBe("told");
    expect(resumed).toBe(false);
  });

  it("J: with an expired list of revoked certificates nobody gets in, and with a new one everybody again", async () => {
    const past = await loadAuthority(test.directory, {
      clock: { now: () => Date.now() - 2 * dayMs, schedule: () => () => {} },
    });
    const bundle = await test.bundle("coordinator", "coordinator");
    rig.credentials.reload({ ...bundle, revocationLists: past.revocationLists([], dayMs) });
    const before = rig.recorder.logged.length;
    expect(await report(honest, "honest")).toMatchObject({ code: "unreachable" });
    const reasons = rig.recorder.logged.slice(before).map(({ fields }) => fields["reason"]);
    expect(reasons).toContain("CRL_HAS_EXPIRED");
    await useLists(dayMs);
    expect(await report(honest, "honest")).toEqual({});
  });
});

it("J: 20,000 damaged certificates are read without a crash, each refused or one of the right form", () => {
  const random = randomFor(1, "certificates");
  const { raw } = new X509Certificate(honest.certPem);
  let refused = 0;
  for (let index = 0; index < 20_000; index++) {
    const bytes = Buffer.from(raw);
    for (let flips = 1 + random.integer(4); flips > 0; flips--)
      bytes[random.integer(bytes.length)] = random.integer(256);
    try {
      const { identity } = readLeaf(new X509Certificate(bytes));
      expect(identity.id).toMatch(/^[a-z0-9-]{1,63}$/);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(Error);
      expect(thrown).not.toBeInstanceOf(TypeError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(1000);
}, 120_000);
