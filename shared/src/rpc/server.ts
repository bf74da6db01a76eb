import type { Http2SecureServer } from "node:http2";
import { Server, type ServerOptions, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";
import { type Authorisation, assertComplete, authorisationInterceptor, LiveCalls } from "./authorisation.js";
import { budgetInterceptor, type CallLimits } from "./call-budget.js";
import type { Caller } from "./caller.js";
import { type ConnectionLimits, Connections } from "./connections.js";
import { type PartialLimits, PartialMessages } from "./partial-messages.js";
import type { CallHooks } from "./serve-call.js";
import { mostConcurrentStreams, type TlsServerCredentials } from "./server-credentials.js";
import { stallInterceptor } from "./stall-watch.js";
import { deliveringUnreadable } from "./unreadable.js";

export interface RpcService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** What a call costs of its caller's budget, by name of the method; 1 for those that are not there. */
  readonly costs?: Readonly<Record<string, number>>;
}

export interface ServerLimits extends ConnectionLimits, PartialLimits, CallLimits {
  readonly messageBytes: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** A connection is closed kindly at this age, so that a revoked or moved site is seen again. */
  readonly connectionAgeMs: number;
  readonly connectionGraceMs: number;
  /** Longest wait for the rest of a message. */
  readonly stallMs: number;
}

export interface RpcServerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly credentials: TlsServerCredentials;
  readonly services: readonly RpcService[];
  /** "open" serves callers without certificates; only for enrolment. */
  readonly authorisation: Authorisation | "open";
  readonly hooks: CallHooks;
  /** How long `stop` lets calls finish. */
  readonly drainMs?: number;
  readonly limits?: Partial<ServerLimits>;
}

export interface RpcServer {
  /** Resolves with the bound port. Throws unreachable when the address cannot be bound. */
  start(): Promise<number>;
  /** Takes no new calls, waits for those in progress, then ends them. */
  stop(): Promise<void>;
  /**
   * Ends the calls in progress of callers that match, as revoked, and a moment later their connections.
   * Returns how many calls there were.
   */
  shutOut(matches: (caller: Caller) => boolean): number;
  /** Bytes held of messages that are not whole yet. */
  readonly partialBytes: number;
}

const defaults: ServerLimits = {
  messageBytes: 5 << 20,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  connectionAgeMs: 3_600_000,
  connectionGraceMs: 600_000,
  stallMs: 60_000,
  connections: 2048,
  handshakesPerAddress: 512,
  connectionsPerCaller: 8,
  // Three of the largest messages at once; a site has one or two under way.
  partialBytesPerCaller: 16 << 20,
  partialBytes: 512 << 20,
  // A site in twenty rounds a minute takes less than a tenth of it, one that works out a long run's model again some more.
  callCostPerSecond: 100,
  callCostAtOnce: 1000,
};

/** Time for the last status to reach a caller whose connection is about to be closed. */
const farewellMs = 500;

/** Throws config-invalid when a served method has no entry in the authorisation table. */
export function createServer(options: RpcServerOptions): RpcServer {
  const { services, authorisation, hooks, drainMs = 10_000 } = options;
  const limits = { ...defaults, ...options.limits };
  const live = new LiveCalls();
  const connections = new Connections(limits, hooks);
  const partial = new PartialMessages(limits, hooks);
  const interceptors = [stallInterceptor(limits.stallMs, hooks)];
  if (authorisation !== "open") {
    assertComplete(authorisation.table, services.flatMap(methodPaths));
    interceptors.unshift(
      budgetInterceptor(limits, costsOf(services), hooks),
      authorisationInterceptor(authorisation, live, hooks),
    );
  }
  interceptors.unshift(partial.interceptor);
  const server = new Server({ ...serverOptions(limits), interceptors });
  for (const { definition, implementation } of services) {
    server.addService(deliveringUnreadable(definition), implementation);
  }
  return {
    start: () => bind(server, options, connections),
    stop: () => stop(server, connections, drainMs),
    get partialBytes() {
      return partial.held;
    },
    shutOut(matches) {
      setTimeout(() => connections.destroy(matches), farewellMs);
      return live.cancel(matches);
    },
  };
}

function methodPaths({ definition }: RpcService): string[] {
  return Object.values(definition).map((method) => method.path);
}

function costsOf(services: readonly RpcService[]): ReadonlyMap<string, number> {
  return new Map(
    services.flatMap(({ definition, costs = {} }) =>
      Object.entries(costs).map(([name, cost]) => [definition[name]!.path, cost] as const),
    ),
  );
}

function serverOptions(limits: ServerLimits): ServerOptions {
  return {
    "grpc.max_receive_message_length": limits.messageBytes,
    "grpc.max_send_message_length": limits.messageBytes,
    "grpc.max_concurrent_streams": mostConcurrentStreams,
    "grpc.keepalive_time_ms": limits.keepaliveMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.max_connection_age_ms": limits.connectionAgeMs,
    "grpc.max_connection_age_grace_ms": limits.connectionGraceMs,
    "grpc.enable_channelz": 0,
  };
}

function bind(server: Server, options: RpcServerOptions, connections: Connections): Promise<number> {
  const { host, port, credentials, authorisation } = options;
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error !== null) {
        const remedy = "Choose a free port and an address of this machine.";
        return reject(new ConsiliumError("unreachable", `Cannot listen on ${address}.`, { remedy, cause: error }));
      }
      const asks = authorisation === "open" ? "nothing" : "certificates";
      for (const http2Server of listeners(server)) connections.watch(http2Server, asks);
      resolve(bound);
    });
  });
}

/**
 * gRPC offers no way to its HTTP/2 servers, and without one the connection window stays at 64 KiB and refused
 * handshakes leave no trace. A release that renames the field fails the tests of this file.
 */
function listeners(server: Server): Http2SecureServer[] {
  const field: unknown = Reflect.get(server, "http2Servers");
  if (!(field instanceof Map)) throw new ConsiliumError("internal", "This version of grpc-js has no http2Servers.");
  return [...field.keys()];
}

/** gRPC's own forceShutdown leaves sessions open when channelz is off, and tryShutdown then waits for ever. */
function stop(server: Server, connections: Connections, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    let patience = setTimeout(() => {
      server.forceShutdown();
      connections.destroyAll();
      // A connection that a caller has flooded may take its time; nobody is served any more.
      patience = setTimeout(resolve, farewellMs);
    }, drainMs);
    server.tryShutdown(() => {
      clearTimeout(patience);
      resolve();
    });
  });
}
