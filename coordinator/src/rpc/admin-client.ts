import { ConsiliumError } from "@consilium/shared/errors.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { callClientStream, callServerStream, callUnary } from "@consilium/shared/rpc/calls.js";
import { type ChannelOptions, openChannel } from "@consilium/shared/rpc/channel.js";
import { explainFailure, explainLoss } from "@consilium/shared/rpc/explain-failure.js";
import { AdminServiceClient, type RunDetail as RunDetailMessage } from "@consilium/shared/rpc/gen/admin.js";
import type { HttpProxy } from "@consilium/shared/rpc/proxy.js";
import type { RunDetail } from "../round/progress.js";
import type { Admin } from "./admin-types.js";
import { launchParts } from "./launch-parts.js";

/** Who calls, and which coordinator. */
export interface AdminConnection {
  readonly host: string;
  readonly port: number;
  readonly federation: string;
  readonly tls: TlsBundle;
  /** The name in the coordinator's certificate, where it is not the host that is dialled. */
  readonly serverName?: string | undefined;
  /** The way there; straight without it. */
  readonly proxy?: HttpProxy | undefined;
}

const callTimeoutMs = 30_000;

/**
 * Speaks to a coordinator as a researcher or operator. Calls reject with the coordinator's own error, or with
 * "unreachable" or "certificate-refused" and the reason why no connection came about.
 */
export function connectAdmin(connection: AdminConnection): Admin {
  const options = channelOptions(connection);
  const channel = openChannel(options);
  const client = channel.client(AdminServiceClient);
  const limits = { timeoutMs: callTimeoutMs };
  const explained = <Reply>(reply: Promise<Reply>): Promise<Reply> =>
    reply.catch(async (thrown: unknown) => Promise.reject(await explainFailure(thrown, options)));
  return {
    launchRun: (request) => explained(callUnary(client.launchRun.bind(client), request, limits)),
    launchRunFrom: (request, signal) =>
      explained(callClientStream(client.launchRunFrom.bind(client), launchParts(request), { signal })),
    listRuns: async () => (await explained(callUnary(client.listRuns.bind(client), {}, limits))).runs,
    getRun: async (runId) => detailOf(await explained(callUnary(client.getRun.bind(client), { runId }, limits))),
    stopRun: (runId) => explained(callUnary(client.stopRun.bind(client), { runId }, limits)),
    resumeRun: (runId) => explained(callUnary(client.resumeRun.bind(client), { runId }, limits)),
    watchRun: (runId, signal) => watchRun(options, runId, signal),
    fetchWeights: (request, signal) => callServerStream(client.fetchWeights.bind(client), request, { signal }),
    inviteSite: (request) => explained(callUnary(client.inviteSite.bind(client), request, limits)),
    listSites: async () => (await explained(callUnary(client.listSites.bind(client), {}, limits))).sites,
    revokeSite: (siteId) => explained(callUnary(client.revokeSite.bind(client), { siteId }, limits)),
    publishRoster: (document) =>
      explained(callUnary(client.publishRoster.bind(client), { document: Buffer.from(document) }, limits)),
    fetchRoster: async () => (await explained(callUnary(client.fetchRoster.bind(client), {}, limits))).document,
    close: () => channel.close(),
  };
}

function channelOptions({ host, port, federation, tls, serverName, proxy }: AdminConnection): ChannelOptions {
  return { host, port, federation, proxy, bundle: tls, ...(serverName === undefined ? {} : { serverName }) };
}

/** On a channel of its own: one that has failed waits before it connects again, and the watcher decides how long. */
async function* watchRun(options: ChannelOptions, runId: string, signal: AbortSignal): AsyncGenerator<RunDetail> {
  const channel = openChannel(options);
  const client = channel.client(AdminServiceClient);
  try {
    for await (const message of callServerStream(client.watchRun.bind(client), { runId }, { signal })) {
      yield detailOf(message);
    }
  } catch (thrown) {
    throw signal.aborted ? thrown : await explainLoss(thrown, options);
  } finally {
    channel.close();
  }
}

function detailOf({ summary, current, history, configJson }: RunDetailMessage): RunDetail {
  if (summary === undefined) {
    throw new ConsiliumError("internal", "the coordinator described a run without its summary", {
      remedy: "check that this command and the coordinator have the same version",
    });
  }
  return { summary, current, history, configJson };
}
