import type { Http2SecureServer, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Caller, readCaller } from "./caller.js";
import { guardHandshakes } from "./certificate-gate.js";
import { paceHandshakes } from "./handshake-pace.js";
import type { CallHooks } from "./serve-call.js";
import { connectionWindowBytes } from "./server-credentials.js";

export interface ConnectionLimits {
  /** Connections at once, in whatever state. */
  readonly connections: number;
  /** From one address whose handshakes are not over: they cost memory and prove nothing. */
  readonly handshakesPerAddress: number;
  /** Of one site or person. A site has one, two while it renews, more while a firewall has lost some. */
  readonly connectionsPerCaller: number;
}

/** The connections of one server: whose they are, how many there may be, and how they are ended. */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #hooks: CallHooks;
  readonly #sessions = new Map<ServerHttp2Session, Caller | undefined>();
  /** Ports of each address that are shaking hands. */
  readonly #handshakes = new Map<string, Set<number>>();

  constructor(limits: ConnectionLimits, hooks: CallHooks) {
    this.#limits = limits;
    this.#hooks = hooks;
  }

  /** @param asks whether callers must show a good certificate */
  watch(server: Http2SecureServer, asks: "certificates" | "nothing"): void {
    if (asks === "certificates") guardHandshakes(server, (reason, socket) => this.#refusedCertificate(reason, socket));
    paceHandshakes(server);
    server.maxConnections = this.#limits.connections;
    server.on("drop", () => this.#refused("all connections are taken"));
    // First in line: what is closed here costs no handshake.
    server.prependListener("connection", (socket: Socket) => this.#arrived(socket));
    server.prependListener("stream", ignoreAnswers);
    server.on("session", (session: ServerHttp2Session) => this.#proved(session, asks));
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => this.#failed(error, socket));
  }

  /** Closes the connections of matching callers, with all that goes over them; returns how many. */
  destroy(matches: (caller: Caller) => boolean): number {
    const matching = [...this.#sessions].filter(([, caller]) => caller !== undefined && matches(caller));
    for (const [session] of matching) session.destroy();
    return matching.length;
  }

  destroyAll(): void {
    for (const session of this.#sessions.keys()) session.destroy();
  }

  #arrived(socket: Socket): void {
    const { remoteAddress = "", remotePort = 0 } = socket;
    const ports = this.#handshakes.get(remoteAddress) ?? new Set();
    if (ports.size >= this.#limits.handshakesPerAddress) {
      this.#refused("too many handshakes from one address", remoteAddress);
      socket.destroy();
      return;
    }
    this.#handshakes.set(remoteAddress, ports.add(remotePort));
    socket.once("close", () => this.#handshakeOver(remoteAddress, remotePort));
  }

  #handshakeOver(address: string, port: number): void {
    const ports = this.#handshakes.get(address);
    ports?.delete(port);
    if (ports?.size === 0) this.#handshakes.delete(address);
  }

  #proved(session: ServerHttp2Session, asks: "certificates" | "nothing"): void {
    // The gate lets none of these through. What could be called with one would be worth a second look.
    if (asks === "certificates" && !isAuthorized(session)) {
      session.destroy();
      return;
    }
    const { remoteAddress = "", remotePort = 0 } = session.socket;
    this.#handshakeOver(remoteAddress, remotePort);
    const caller = callerOf(session);
    if (caller !== undefined && this.#countOf(caller) >= this.#limits.connectionsPerCaller) {
      this.#refused("too many connections of one caller", remoteAddress);
      session.destroy();
      return;
    }
    session.setLocalWindowSize(connectionWindowBytes);
    this.#sessions.set(session, caller);
    session.once("close", () => this.#sessions.delete(session));
  }

  #countOf({ identity: { role, id } }: Caller): number {
    const isSame = (other: Caller | undefined) => other?.identity.role === role && other.identity.id === id;
    return [...this.#sessions.values()].filter(isSame).length;
  }

  #failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // Who hangs up before the handshake ends was not refused: a joining agent does so once it has checked the pin.
    if (error.code === "ECONNRESET" && !socket.authorizationError) return;
    this.#refusedCertificate(String(socket.authorizationError ?? error.code ?? "handshake failed"), socket);
  }

  #refusedCertificate(reason: string, socket: TLSSocket): void {
    this.#hooks.onRejected?.("tls", "certificate-refused");
    this.#hooks.log.info("rpc.handshake-refused", { reason, from: socket.remoteAddress });
  }

  #refused(reason: string, from?: string): void {
    this.#hooks.onRejected?.("tls", "overloaded");
    this.#hooks.log.warn("rpc.connection-refused", { reason, from });
  }
}

function isAuthorized({ socket }: ServerHttp2Session): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}

/**
 * For a stream that its caller took back before it was looked at. grpc-js answers at once what is no gRPC or has no method,
 * and Node throws at an answer to such a stream where nobody catches it: one caller could end the process.
 */
function ignoreAnswers(stream: ServerHttp2Stream): void {
  if (stream.destroyed || stream.closed) stream.respond = () => {};
}

/** Undefined where the connection has no certificate, or one that no call will be allowed with. */
function callerOf({ socket }: ServerHttp2Session): Caller | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  // Node gives an empty object, whatever its type says, where there is none.
  const { raw }: { raw?: Buffer } = socket.getPeerCertificate();
  try {
    return readCaller(raw);
  } catch {
    return undefined;
  }
}
