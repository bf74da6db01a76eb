import type { Http2SecureServer } from "node:http2";
import type { TLSSocket } from "node:tls";

/** What a refused caller is told; Node has no way to send the alerts of TLS once it leaves the verdict to this gate. */
const revokedNotice = "certificate-revoked";
const requiredNotice = "certificate-required";
const goAway = 7;
const inadequateSecurity = 0xc;
const frameHeaderBytes = 9;
const goAwayFieldsBytes = 8;
const lingerMs = 1000;

/**
 * Lets only callers with a good certificate through to HTTP/2. Node would close the others' connections without a word
 * to one whose certificate was revoked. Here they are closed too, but such a caller is told, and one without a certificate.
 */
export function guardHandshakes(
  server: Http2SecureServer,
  onRefused: (reason: string, socket: TLSSocket) => void,
): void {
  const admit = server.listeners("secureConnection");
  server.removeAllListeners("secureConnection");
  server.on("secureConnection", (socket: TLSSocket) => {
    if (!socket.authorized) return refuse(socket, onRefused);
    for (const listener of admit) listener.call(server, socket);
  });
  // Only now that the gate stands: until here Node itself refuses. A release that renames the field refuses in silence.
  Reflect.set(server, "rejectUnauthorized", false);
}

function refuse(socket: TLSSocket, onRefused: (reason: string, socket: TLSSocket) => void): void {
  // Node gives an empty object, whatever its type says, where there is none.
  const { raw }: { raw?: Buffer } = socket.getPeerCertificate();
  const reason = raw === undefined ? "no certificate" : String(socket.authorizationError);
  onRefused(reason, socket);
  socket.on("error", () => socket.destroy());
  if (raw === undefined) farewell(socket, requiredNotice);
  else if (reason === "CERT_REVOKED") farewell(socket, revokedNotice);
  else socket.destroy();
}

/** However busy the caller keeps the connection, it is gone after `lingerMs`. */
function farewell(socket: TLSSocket, notice: string): void {
  // What the caller sends meanwhile is read and dropped: unread, it would make the system throw the notice away.
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), lingerMs);
  socket.once("close", () => clearTimeout(linger));
  socket.end(noticeFrame(notice));
}

/** Whether the first bytes of a server are such a notice, and not the beginning of HTTP/2. */
export function isRevokedNotice(received: Uint8Array): boolean {
  return received[3] === goAway && Buffer.from(received).includes(revokedNotice, frameHeaderBytes + goAwayFieldsBytes);
}

/** A GOAWAY frame (RFC 9113, section 6.8) with a text as its debug data. */
function noticeFrame(text: string): Buffer {
  const frame = Buffer.alloc(frameHeaderBytes + goAwayFieldsBytes + text.length);
  frame.writeUIntBE(goAwayFieldsBytes + text.length, 0, 3);
  frame.writeUInt8(goAway, 3);
  frame.writeUInt32BE(inadequateSecurity, frameHeaderBytes + 4);
  frame.write(text, frameHeaderBytes + goAwayFieldsBytes, "latin1");
  return frame;
}
