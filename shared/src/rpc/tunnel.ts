import { request } from "node:http";
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { ConsiliumError } from "../errors.js";
import { type ConnectionReason, diagnosis } from "./connection-reason.js";
import { type HttpProxy, proxyAddress } from "./proxy.js";

export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly proxy: HttpProxy | undefined;
  readonly timeoutMs: number;
}

/** A proxy gave no way to the coordinator. */
export class TunnelRefused extends ConsiliumError {
  readonly reason: ConnectionReason;
  readonly detail: string;

  constructor(reason: ConnectionReason, { address, detail }: { address: string; detail: string }) {
    const { message, remedy } = diagnosis(reason, { address, detail });
    super("unreachable", message, { remedy });
    this.reason = reason;
    this.detail = detail;
  }
}

/** What a TLS connection to the destination goes over: one of its own, or the proxy's tunnel. @throws TunnelRefused */
export async function carrierTo(to: Destination): Promise<Pick<ConnectionOptions, "host" | "port" | "socket">> {
  const { host, port, proxy } = to;
  return proxy === undefined ? { host, port } : { socket: await openTunnel({ ...to, proxy }) };
}

/** Asks a proxy for a connection to host and port (RFC 9110, section 9.3.6). @throws TunnelRefused */
export function openTunnel(to: Destination & { readonly proxy: HttpProxy }): Promise<Socket> {
  const { proxy, timeoutMs } = to;
  const address = proxyAddress(to);
  const refused = (reason: ConnectionReason, why: string) =>
    new TunnelRefused(reason, { address, detail: `${proxyAddress(proxy)}${why === "" ? "" : ` (${why})`}` });
  return new Promise((resolve, reject) => {
    const asked = request({
      ...{ host: proxy.host, port: proxy.port, method: "CONNECT", path: address, agent: false },
      headers: { host: address, ...authorisation(proxy) },
    });
    const patience = setTimeout(() => {
      reject(refused("proxy-timeout", ""));
      asked.destroy();
    }, timeoutMs);
    asked.once("connect", ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
      clearTimeout(patience);
      if (statusCode === 200) {
        if (head.length > 0) socket.unshift(head);
        return resolve(socket);
      }
      socket.destroy();
      reject(refused(answerReason(statusCode), `status ${statusCode}`));
    });
    asked.once("error", ({ code = "unknown" }: NodeJS.ErrnoException) => {
      clearTimeout(patience);
      reject(refused(failureReason(code), code));
    });
    asked.end();
  });
}

function authorisation({ credentials }: HttpProxy): Record<string, string> {
  if (credentials === undefined) return {};
  return { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}

function answerReason(status: number): ConnectionReason {
  if (status === 407) return "proxy-login";
  return status >= 500 ? "proxy-no-route" : "proxy-denied";
}

function failureReason(code: string): ConnectionReason {
  if (code === "ECONNREFUSED") return "proxy-refused";
  return code.startsWith("HPE_") || code === "ECONNRESET" ? "not-a-proxy" : "proxy-unreachable";
}
