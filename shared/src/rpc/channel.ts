import { isIP } from "node:net";
import { checkServerIdentity, createSecureContext, type PeerCertificate } from "node:tls";
import {
  Channel,
  ChannelCredentials,
  type ClientOptions,
  connectivityState,
  type Interceptor,
  logVerbosity,
  setLogVerbosity,
} from "@grpc/grpc-js";
import { ConsiliumError } from "../errors.js";
import { parseCertificate, readLeaf } from "../identity/certificate-check.js";
import type { TlsBundle } from "../identity/key-files.js";
import { type HttpProxy, proxyAddress } from "./proxy.js";

export type ClientConstructor<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** One connection to the coordinator, shared by any number of typed clients. Reconnects by itself until closed. */
export interface RpcChannel {
  readonly address: string;
  /** `interceptors` see every message of this client before it is encoded. */
  client<C>(Client: ClientConstructor<C>, interceptors?: readonly Interceptor[]): C;
  /** Connects, and resolves once the server has accepted this side's certificate. Throws unreachable. */
  ready(timeoutMs: number): Promise<void>;
  close(): void;
}

export interface ChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly federation: string;
  readonly bundle: TlsBundle;
  /** The name that the coordinator's certificate must carry, where it isn't the host that is dialled. */
  readonly serverName?: string;
  /** The way there; undefined goes straight. What the environment says does not count here. */
  readonly proxy: HttpProxy | undefined;
}

/** Where a channel leads, and by which way. */
export type Route = Pick<ChannelOptions, "host" | "port" | "proxy">;

interface Trust {
  readonly caPem: string;
  readonly own?: { readonly certPem: string; readonly keyPem: string };
  /** Says why a server whose chain is good is still not the right one; undefined when it is. */
  verify(certificate: PeerCertificate): Error | undefined;
}

const messageBytes = 5 << 20;
const receiveWindowBytes = 8 << 20;

/** Throws config-invalid for a bundle that TLS cannot use. Does not wait for a connection. */
export function openChannel({ federation, bundle, ...route }: ChannelOptions): RpcChannel {
  const { serverName = route.host } = route;
  return openTrusting(route, {
    caPem: bundle.caPem,
    own: bundle,
    verify: (certificate) => coordinatorFault(certificate, federation) ?? checkServerIdentity(serverName, certificate),
  });
}

/** Why a server's certificate is not the coordinator's of this federation; undefined when it is. */
export function coordinatorFault(
  { raw }: Pick<PeerCertificate, "raw">,
  federation: string,
): ConsiliumError | undefined {
  try {
    const { identity } = readLeaf(parseCertificate(raw));
    // site-check: coordinator-certificate
    if (identity.role !== "coordinator" || identity.federation !== federation) {
      return new ConsiliumError(
        "certificate-refused",
        `The server is ${identity.role} ${identity.id} of ${identity.federation}, not the coordinator of ${federation}.`,
        { remedy: "Check the coordinator's host and port." },
      );
    }
    return undefined;
  } catch (thrown) {
    if (thrown instanceof ConsiliumError) return thrown;
    throw thrown;
  }
}

export function openTrusting({ host, port, proxy }: Route, trust: Trust): RpcChannel {
  const address = proxyAddress({ host, port });
  const credentials = ChannelCredentials.createFromSecureContext(secureContext(trust), {
    // gRPC passes the name below as host name; `verify` knows the one that counts.
    checkServerIdentity: (_host, certificate) => trust.verify(certificate),
  });
  const options = {
    ...channelOptions,
    // RFC 6066 allows no address as server name, and gRPC would send one.
    ...(isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": "coordinator" }),
    ...(proxy === undefined ? {} : proxyOptions(address, proxy)),
  };
  const channel = new Channel(proxy === undefined ? address : `dns:${proxyAddress(proxy)}`, credentials, options);
  return {
    address,
    client: (Client, interceptors = []) =>
      new Client(address, credentials, { ...options, channelOverride: channel, interceptors: [...interceptors] }),
    ready: (timeoutMs) => ready(channel, { address, deadlineMs: Date.now() + timeoutMs }),
    close: () => channel.close(),
  };
}

/** What gRPC itself sets where the environment names a proxy; its own lines about a failing one would spoil the log. */
function proxyOptions(address: string, { credentials }: HttpProxy) {
  setLogVerbosity(logVerbosity.NONE);
  return {
    "grpc.http_connect_target": `dns:${address}`,
    "grpc.default_authority": address,
    ...(credentials === undefined ? {} : { "grpc.http_connect_creds": credentials }),
  };
}

/** An HTTP/2 server speaks first, and only after it has accepted the client's certificate: then gRPC is ready. */
function ready(channel: Channel, limit: { address: string; deadlineMs: number }): Promise<void> {
  const state = channel.getConnectivityState(true);
  if (state === connectivityState.READY) return Promise.resolve();
  return new Promise((resolve, reject) => {
    channel.watchConnectivityState(state, limit.deadlineMs, (error) => {
      if (error === undefined) resolve(ready(channel, limit));
      else reject(new ConsiliumError("unreachable", `${limit.address} did not accept a connection in time.`));
    });
  });
}

/** Keepalive is shorter than the idle limits of hospital firewalls. Retries belong to the protocol, which repeats calls. */
const channelOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.enable_retries": 0,
  // Who opens a channel says by which way; else a probe would go another one than the channel.
  "grpc.enable_http_proxy": 0,
  "grpc.initial_reconnect_backoff_ms": 1000,
  "grpc.max_reconnect_backoff_ms": 15_000,
  "grpc.dns_min_time_between_resolutions_ms": 5000,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.max_send_message_length": messageBytes,
  "grpc.max_receive_message_length": messageBytes,
  "grpc.service_config_disable_resolution": 1,
  "grpc-node.flow_control_window": receiveWindowBytes,
  "grpc.enable_channelz": 0,
};

function secureContext({ caPem, own }: Trust) {
  try {
    return createSecureContext({
      ca: caPem,
      minVersion: "TLSv1.3",
      ...(own === undefined ? {} : { cert: own.certPem, key: own.keyPem }),
    });
  } catch (cause) {
    throw new ConsiliumError("config-invalid", "The TLS certificate and key cannot be used together.", {
      remedy: "Put back the certificate and key that were issued together, or have new ones issued: sites join again.",
      cause,
    });
  }
}
