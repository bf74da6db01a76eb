import { systemClock } from "@consilium/shared/clock.js";
import type { ErrorCode } from "@consilium/shared/errors.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { Role } from "@consilium/shared/identity/peer-identity.js";
import { type LogFields, type Logger, silentLogger } from "@consilium/shared/log.js";
import type { Authorisation } from "@consilium/shared/rpc/authorisation.js";
import { openChannel, type RpcChannel } from "@consilium/shared/rpc/channel.js";
import {
  FederationServiceClient,
  type FederationServiceServer,
  FederationServiceService,
} from "@consilium/shared/rpc/gen/federation.js";
import {
  SecAggServiceClient,
  type SecAggServiceServer,
  SecAggServiceService,
} from "@consilium/shared/rpc/gen/secagg.js";
import { type CallHooks, wrapClientStream, wrapServerStream, wrapUnary } from "@consilium/shared/rpc/serve-call.js";
import { createServer, type RpcServer, type RpcServerOptions } from "@consilium/shared/rpc/server.js";
import { TlsServerCredentials } from "@consilium/shared/rpc/server-credentials.js";
import type { TestFederation } from "./identities.js";

export type FederationMethods = Partial<
  Pick<FederationServiceServer, "attach" | "fetchCheckpoint" | "report" | "renewCertificate">
>;
export type SecAggMethods = Partial<Pick<SecAggServiceServer, "exchange" | "upload">>;

export interface Recorder {
  readonly hooks: CallHooks;
  readonly rejected: { method: string; code: ErrorCode }[];
  readonly finished: { method: string; code: string }[];
  readonly logged: { event: string; fields: LogFields }[];
}

export function recorder(): Recorder {
  const rejected: Recorder["rejected"] = [];
  const finished: Recorder["finished"] = [];
  const logged: Recorder["logged"] = [];
  const note = (event: string, fields: LogFields = {}) => void logged.push({ event, fields });
  const log: Logger = { ...silentLogger, info: note, warn: note, error: note };
  const hooks: CallHooks = {
    log,
    onRejected: (method, code) => void rejected.push({ method, code }),
    onFinished: (method, code) => void finished.push({ method, code }),
  };
  return { hooks, rejected, finished, logged };
}

export const sitesOnly = ["site"] satisfies Role[];

/** Every method of the two site-facing services, open to sites. */
export const siteTable = Object.fromEntries(
  [...Object.values(FederationServiceService), ...Object.values(SecAggServiceService)].map(
    ({ path }) => [path, sitesOnly] as const,
  ),
);

export interface Rig {
  readonly server: RpcServer;
  readonly port: number;
  readonly recorder: Recorder;
  readonly credentials: TlsServerCredentials;
  /** Opens a channel as this bundle; closed by `stop`. */
  connect(bundle: TlsBundle): { channel: RpcChannel; federation: FederationServiceClient; secagg: SecAggServiceClient };
  stop(): Promise<void>;
}

export interface RigOptions {
  readonly test: TestFederation;
  readonly federation?: (hooks: CallHooks) => FederationMethods;
  readonly secagg?: (hooks: CallHooks) => SecAggMethods;
  readonly authorisation?: Partial<Authorisation>;
  readonly server?: Partial<Pick<RpcServerOptions, "limits" | "drainMs">>;
}

/** A server on loopback with real TLS. Methods that a test does not give answer with nothing. */
export async function startRig(options: RigOptions): Promise<Rig> {
  const { test } = options;
  const record = recorder();
  const credentials = TlsServerCredentials.mutual(await test.bundle("coordinator", "coordinator"));
  const server = createServer({
    host: "127.0.0.1",
    port: 0,
    credentials,
    services: [
      {
        definition: FederationServiceService,
        implementation: { ...silentFederation(record.hooks), ...options.federation?.(record.hooks) },
      },
      {
        definition: SecAggServiceService,
        implementation: { ...silentSecAgg(record.hooks), ...options.secagg?.(record.hooks) },
      },
    ],
    authorisation: {
      federation: test.federation,
      table: siteTable,
      isRevoked: () => false,
      clock: systemClock,
      ...options.authorisation,
    },
    hooks: record.hooks,
    drainMs: 200,
    ...options.server,
  });
  const port = await server.start();
  const channels: RpcChannel[] = [];
  return {
    server,
    port,
    recorder: record,
    credentials,
    connect(bundle) {
      const channel = openChannel({ host: "localhost", port, federation: test.federation, bundle, proxy: undefined });
      channels.push(channel);
      return {
        channel,
        federation: channel.client(FederationServiceClient),
        secagg: channel.client(SecAggServiceClient),
      };
    },
    async stop() {
      for (const channel of channels) channel.close();
      await server.stop();
    },
  };
}

function silentFederation(hooks: CallHooks): FederationServiceServer {
  return {
    attach: wrapServerStream(async function* () {}, hooks),
    fetchCheckpoint: wrapServerStream(async function* () {}, hooks),
    fetchResults: wrapServerStream(async function* () {}, hooks),
    fetchAggregate: wrapServerStream(async function* () {}, hooks),
    report: wrapUnary(() => ({}), hooks),
    fetchRosters: wrapServerStream(async function* () {}, hooks),
    renewCertificate: wrapUnary(() => ({ certificatePem: "", caPem: "" }), hooks),
  };
}

function silentSecAgg(hooks: CallHooks): SecAggServiceServer {
  return {
    exchange: wrapUnary(() => ({ outcome: undefined }), hooks),
    upload: wrapClientStream(() => ({ outcome: undefined }), hooks),
  };
}
