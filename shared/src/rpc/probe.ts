import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from "node:tls";
import { type Clock, systemClock } from "../clock.js";
import { ConsiliumError } from "../errors.js";
import { issuerAmong, parseAuthorities, parseCertificate, readLeaf } from "../identity/certificate-check.js";
import type { TlsBundle } from "../identity/key-files.js";
import { isRevokedNotice } from "./certificate-gate.js";
import { coordinatorFault } from "./channel.js";
import { type ConnectionDiagnosis, type ConnectionReason, diagnosis } from "./connection-reason.js";
import type { HttpProxy } from "./proxy.js";
import { carrierTo, TunnelRefused } from "./tunnel.js";

export interface ProbeOptions {
  readonly host: string;
  readonly port: number;
  readonly federation: string;
  readonly bundle: TlsBundle;
  readonly serverName?: string;
  readonly proxy?: HttpProxy | undefined;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

type Raw = PeerCertificate["raw"];

/** How far a plain TLS connection came, before anyone judges it. */
type Outcome =
  | { readonly kind: "failed"; readonly code: string }
  | { readonly kind: "timeout" }
  | { readonly kind: "blocked"; readonly reason: ConnectionReason; readonly detail: string }
  | { readonly kind: "untrusted"; readonly code: string }
  | { readonly kind: "misnamed"; readonly raw: Raw }
  | { readonly kind: "rejected"; readonly raw: Raw; readonly revoked: boolean }
  | { readonly kind: "accepted"; readonly raw: Raw };

/**
 * gRPC says only that it failed to connect. This makes a connection of its own and finds out why: from the network,
 * from the coordinator's certificate, or from this process's own. Never throws.
 */
export async function diagnoseConnection(options: ProbeOptions): Promise<ConnectionDiagnosis> {
  const { host, port, federation } = options;
  const outcome = await probe(options);
  const say = (reason: ConnectionReason, detail = "") => diagnosis(reason, { address: `${host}:${port}`, detail });
  switch (outcome.kind) {
    case "failed":
      return say(networkReason(outcome.code), outcome.code);
    case "timeout":
      return say("timeout");
    case "blocked":
      return say(outcome.reason, outcome.detail);
    case "untrusted":
      return say(authorityReason(outcome.code), outcome.code);
    case "misnamed":
      return say("name-mismatch", parseCertificate(outcome.raw).subjectAltName ?? "");
  }
  const fault = coordinatorFault(outcome, federation);
  if (fault !== undefined) return say("wrong-role", fault.message);
  if (outcome.kind === "accepted") return say("ok");
  return outcome.revoked ? say("own-revoked") : ownFault(options, say);
}

/** The server shut the door after it had seen this certificate, without saying why; the certificate itself may tell. */
function ownFault(
  { bundle, clock = systemClock }: ProbeOptions,
  say: (reason: ConnectionReason, detail?: string) => ConnectionDiagnosis,
): ConnectionDiagnosis {
  try {
    const certificate: X509Certificate = parseCertificate(bundle.certPem);
    const { notBeforeMs, notAfterMs } = readLeaf(certificate);
    if (clock.now() > notAfterMs) return say("own-expired", new Date(notAfterMs).toISOString());
    if (clock.now() < notBeforeMs) return say("own-not-yet-valid", new Date(notBeforeMs).toISOString());
    issuerAmong(parseAuthorities(bundle.caPem), certificate);
  } catch (thrown) {
    if (thrown instanceof ConsiliumError) return say("own-refused", thrown.message);
    throw thrown;
  }
  return say("own-refused", "The coordinator closed the connection when it saw the certificate.");
}

async function probe(options: ProbeOptions): Promise<Outcome> {
  const { host, port, proxy, timeoutMs = 10_000 } = options;
  if (!isPair(options.bundle)) return { kind: "blocked", reason: "own-unusable", detail: "" };
  try {
    return await greet({ ...options, timeoutMs }, await carrierTo({ host, port, proxy, timeoutMs }));
  } catch (thrown) {
    if (thrown instanceof TunnelRefused) return { kind: "blocked", reason: thrown.reason, detail: thrown.detail };
    throw thrown;
  }
}

function greet(options: ProbeOptions & { readonly timeoutMs: number }, carrier: Carrier): Promise<Outcome> {
  const { host, bundle, serverName = host, timeoutMs } = options;
  return new Promise((resolve) => {
    let raw: Raw | undefined;
    const socket = tryConnect(host, carrier, bundle);
    if (socket === undefined) return resolve({ kind: "blocked", reason: "own-unusable", detail: "" });
    const finish = (outcome: Outcome) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () => finish({ kind: "timeout" }));
    const lost = (code: string) =>
      finish(raw === undefined ? { kind: "failed", code } : { kind: "rejected", raw, revoked: isRevokedAlert(code) });
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerCertificate();
      if (!socket.authorized) {
        return finish({ kind: "untrusted", code: String(socket.authorizationError) });
      }
      if (checkServerIdentity(serverName, certificate) !== undefined) {
        return finish({ kind: "misnamed", raw: certificate.raw });
      }
      raw = certificate.raw;
    });
    // An HTTP/2 server speaks first, and only after it has accepted the client's certificate.
    socket.once("data", (bytes: Buffer) => {
      if (raw === undefined) return;
      finish(isRevokedNotice(bytes) ? { kind: "rejected", raw, revoked: true } : { kind: "accepted", raw });
    });
    socket.on("error", (error: NodeJS.ErrnoException) => lost(error.code ?? error.message));
    socket.once("close", () => lost("ECONNRESET"));
  });
}

/** OpenSSL itself finds a key of another kind only when the server asks for a signature. */
function isPair({ certPem, keyPem }: TlsBundle): boolean {
  try {
    return new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

type Carrier = Awaited<ReturnType<typeof carrierTo>>;

function tryConnect(host: string, carrier: Carrier, bundle: TlsBundle): TLSSocket | undefined {
  try {
    return connect({
      ...carrier,
      ca: bundle.caPem,
      cert: bundle.certPem,
      key: bundle.keyPem,
      minVersion: "TLSv1.3",
      ALPNProtocols: ["h2"],
      // Judged by hand, so that the reason is known.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
  } catch {
    return undefined;
  }
}

/** Coordinators send a notice instead; something in their place may send the alert, after this side's handshake is over. */
function isRevokedAlert(code: string): boolean {
  return /^ERR_SSL_.*ALERT_CERTIFICATE_REVOKED/.test(code);
}

function networkReason(code: string): ConnectionReason {
  if (code === "ECONNREFUSED") return "refused";
  if (/^ERR_SSL_.*ALERT_CERTIFICATE_EXPIRED/.test(code)) return "own-expired";
  if (isRevokedAlert(code)) return "own-revoked";
  if (/^ERR_SSL_.*(CERTIFICATE|UNKNOWN_CA)/.test(code)) return "own-refused";
  if (code.startsWith("ERR_SSL_")) return "not-tls13";
  if (code === "ECONNRESET" || code === "EPIPE") return "not-tls13";
  return "unreachable";
}

function authorityReason(code: string): ConnectionReason {
  if (code === "CERT_HAS_EXPIRED") return "server-expired";
  if (code === "CERT_NOT_YET_VALID") return "server-not-yet-valid";
  if (code === "INVALID_PURPOSE") return "wrong-role";
  return "wrong-authority";
}
