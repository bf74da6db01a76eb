import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { ConsiliumError } from "@consilium/shared/errors.js";

/** A collector of audit messages, and the files with which both ends prove who they are. */
export interface SyslogTarget {
  readonly host: string;
  readonly port: number;
  /** PEM files: the collector's authority, and this sender's certificate and key. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** One message of RFC 5424. */
export interface SyslogMessage {
  readonly at: string;
  /** Names the sender; the site's id rather than a machine's name. */
  readonly host: string;
  readonly isWarning: boolean;
  readonly processId: string;
  readonly text: string;
}

const connectTimeoutMs = 15_000;
/** In TLS 1.3 a collector says only after the handshake that it does not want our certificate. */
const refusalWindowMs = 400;
/** Facility 10, security and authorisation; severities notice and warning (RFC 5424, 6.2.1). */
const priority = { notice: 10 * 8 + 5, warning: 10 * 8 + 4 } as const;

/** RFC 5424 with the message id and the byte-order mark of DICOM PS3.15 A.6, in the frame of RFC 5425: its length, a space, it. */
export function syslogFrame({ at, host, isWarning, processId, text }: SyslogMessage): Buffer {
  const pri = isWarning ? priority.warning : priority.notice;
  const message = Buffer.from(`<${pri}>1 ${at} ${host} consilium-agent ${processId} DICOM+RFC3881 - \ufeff${text}`);
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/**
 * Sends frames over TLS with certificates on both sides, at the pace at which the collector reads. Syslog has no answers:
 * what it resolves to is how many frames went out before both ends closed the connection in order.
 * @throws ConsiliumError "unreachable" where the connection fails, "certificate-refused" where one end refuses the other,
 * "config-missing" for files that are not there.
 */
export async function sendSyslog(target: SyslogTarget, frames: Iterable<Buffer>): Promise<number> {
  const socket = await opened(target);
  let failed: Error | undefined;
  const fail = (error: Error) => {
    failed ??= error;
  };
  const ended = () => fail(new Error("it closed the connection before all was sent"));
  socket.on("error", fail);
  socket.once("end", ended);
  const closed = new Promise<void>((done) => socket.once("close", () => done()));
  let sent = 0;
  for (const frame of frames) {
    if (failed !== undefined || socket.destroyed) break;
    if (!socket.write(frame)) await drainedOrClosed(socket, closed);
    sent++;
  }
  socket.off("end", ended);
  socket.end();
  await closed;
  if (failed !== undefined) throw cannotSend(target, failed);
  return sent;
}

function drainedOrClosed(socket: TLSSocket, closed: Promise<void>): Promise<void> {
  return Promise.race([new Promise<void>((done) => socket.once("drain", () => done())), closed]);
}

function opened(target: SyslogTarget): Promise<TLSSocket> {
  const { host, port } = target;
  const secureContext = contextOf(target);
  return new Promise((resolve, reject) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ ...{ host, port, secureContext, ...name } });
    const fail = (cause: Error) => {
      socket.destroy();
      reject(cannotSend(target, cause));
    };
    socket.setTimeout(connectTimeoutMs, () => fail(new Error("no answer")));
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      // What a collector writes is read and passed over, so that its end of the connection is noticed.
      socket.resume();
      const refused = () => fail(Object.assign(new Error("closed at once"), { code: "ERR_TLS_CERT_REFUSED" }));
      socket.once("end", refused);
      setTimeout(() => {
        socket.off("error", fail);
        socket.off("end", refused);
        resolve(socket);
      }, refusalWindowMs);
    });
  });
}

function contextOf({ ca, cert, key }: SyslogTarget): SecureContext {
  const files = { ca: pem(ca), cert: pem(cert), key: pem(key) };
  try {
    if (!isCertificate(files.ca)) throw new Error("no certificate");
    return createSecureContext({ ...files, minVersion: "TLSv1.2" });
  } catch (cause) {
    const wrong = [ca, cert].find((path) => !isCertificate(pem(path)));
    const message = wrong === undefined ? `${key} is not the key of ${cert}` : `${wrong} is no certificate in PEM`;
    throw new ConsiliumError("config-invalid", message, { remedy: "check --ca, --cert and --key", cause });
  }
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).serialNumber !== "";
  } catch {
    return false;
  }
}

function pem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConsiliumError("config-missing", `${path}: cannot be read`, {
      remedy: "name PEM files that you may read with --ca, --cert and --key",
      cause,
    });
  }
}

function cannotSend({ host, port }: SyslogTarget, cause: Error): ConsiliumError {
  const code = "code" in cause ? String(cause.code) : "";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    const message = `the audit collector ${host}:${port} does not speak TLS`;
    return new ConsiliumError("unreachable", message, { remedy: "check the port: syslog over TLS is 6514", cause });
  }
  const isAboutTrust = /CERT|ALERT|SSL|ALTNAME/.test(code);
  return new ConsiliumError(
    isAboutTrust ? "certificate-refused" : "unreachable",
    `the audit collector ${host}:${port} cannot be used (${code === "" ? cause.message : code})`,
    {
      remedy: isAboutTrust
        ? "check --ca against the collector's authority, and that the collector trusts the one of --cert"
        : "check host and port, and repeat the export with --since",
      cause,
    },
  );
}
