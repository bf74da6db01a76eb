import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import {
  type AttachRequest,
  type Directive,
  type FederationServiceServer,
  FederationServiceService,
  type FetchCheckpointRequest,
  type FetchRostersRequest,
  type ReportAck,
  type SiteReport,
} from "@consilium/shared/rpc/gen/federation.js";
import type { RosterDocument } from "@consilium/shared/rpc/gen/roster.js";
import type { Chunk } from "@consilium/shared/rpc/gen/tensor.js";
import { type CallContext, type CallHooks, wrapServerStream, wrapUnary } from "@consilium/shared/rpc/serve-call.js";
import type { RpcService } from "@consilium/shared/rpc/server.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { storedState } from "../round/attempt.js";
import type { RunQueue } from "../round/run-queue.js";
import type { Submissions } from "../round/submissions.js";
import type { SiteRegistry } from "../sites/registry.js";
import type { RosterDesk } from "../sites/roster-desk.js";
import type { RunStore } from "../store/run-store.js";
import { requireKey } from "./codec.js";
import { streamFile } from "./file-stream.js";
import { requireOwnSite } from "./site-identity.js";
import { reportEvent } from "./site-report.js";
import { planDirective, type SiteStreams } from "./site-streams.js";

export interface FederationOptions {
  readonly queue: RunQueue;
  readonly submissions: Submissions;
  readonly registry: SiteRegistry;
  readonly streams: SiteStreams;
  readonly store: RunStore;
  readonly checkpoints: CheckpointStore;
  readonly rosters: Pick<RosterDesk, "documentsAfter">;
  readonly clock: Clock;
}

/** A site that hears nothing for a few of these knows that its connection is dead. */
const heartbeatMs = 15_000;
const maxVersionChars = 64;

export function federationService(options: FederationOptions, hooks: CallHooks): RpcService {
  const implementation: FederationServiceServer = {
    attach: wrapServerStream<AttachRequest, Directive>((request, context) => attach(options, request, context), hooks),
    fetchCheckpoint: wrapServerStream<FetchCheckpointRequest, Chunk>(
      (request, context) => fetchCheckpoint(options, request, context),
      hooks,
    ),
    report: wrapUnary<SiteReport, ReportAck>((report, context) => {
      const siteId = requireOwnSite(context, report.siteId);
      if (report.auditHead !== undefined) options.registry.witness(siteId, report.auditHead);
      const event = reportEvent(siteId, report);
      if (event !== undefined) options.submissions.report(requireKey(report.key), event);
      return {};
    }, hooks),
    fetchRosters: wrapServerStream<FetchRostersRequest, RosterDocument>(
      ({ afterVersion }) => rostersAfter(options, afterVersion),
      hooks,
    ),
  };
  return { definition: FederationServiceService, implementation };
}

async function* attach(
  { streams, registry, queue, clock }: FederationOptions,
  request: AttachRequest,
  context: CallContext,
): AsyncGenerator<Directive> {
  const siteId = requireOwnSite(context, request.siteId);
  registry.requireEnrolled(siteId);
  const channel = streams.open(siteId);
  const version = request.agentVersion.slice(0, maxVersionChars);
  const attachment = registry.attach(siteId, version, () => channel.end());
  const onGone = () => channel.end();
  context.signal.addEventListener("abort", onGone, { once: true });
  try {
    const current = queue.planFor(siteId);
    if (channel.isEmpty && current !== undefined) channel.push(planDirective(current));
    // A site counts itself attached from the first directive on, so that it should not wait for it.
    if (channel.isEmpty) yield heartbeat(clock);
    for (;;) {
      const directive = await channel.next(clock, heartbeatMs);
      if (directive === undefined) return;
      yield directive === "idle" ? heartbeat(clock) : directive;
      attachment.seen();
    }
  } finally {
    context.signal.removeEventListener("abort", onGone);
    streams.close(siteId, channel);
    attachment.detach();
  }
}

function heartbeat(clock: Clock): Directive {
  return { kind: { $case: "heartbeat", value: { sentAtMs: clock.now() } } };
}

/** A site may read what its own rounds began from or ended with, nothing else. */
async function* fetchCheckpoint(
  { store, checkpoints }: FederationOptions,
  request: FetchCheckpointRequest,
  context: CallContext,
): AsyncGenerator<Chunk> {
  const siteId = requireOwnSite(context, context.identity.id);
  const row = store.findAttempt(requireKey(request.key));
  const digest = Buffer.from(request.digest).toString("hex");
  const state = row === undefined ? undefined : storedState(row);
  const takesPart = state !== undefined && state.kind !== "selecting" && state.members[siteId] !== undefined;
  const result = state?.kind === "committed" ? state.aggregate.checkpointDigest : undefined;
  if (!takesPart || (digest !== row?.parentDigest && digest !== result)) {
    throw new ConsiliumError("not-found", `no checkpoint ${digest.slice(0, 64)} in a round of site ${siteId}`, {
      remedy: "follow the plan that comes on the attached stream",
    });
  }
  yield* streamFile(checkpoints.pathOf(digest), request.offset);
}

async function* rostersAfter({ rosters }: FederationOptions, version: number): AsyncGenerator<RosterDocument> {
  for (const document of rosters.documentsAfter(version)) yield { document: Buffer.from(document) };
}
