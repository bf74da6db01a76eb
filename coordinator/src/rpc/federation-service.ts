import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import {
  type AttachRequest,
  type Directive,
  type FederationServiceServer,
  FederationServiceService,
  type FetchCheckpointRequest,
  type FetchResultsRequest,
  type FetchRostersRequest,
  type RenewReply,
  type RenewRequest,
  type ReportAck,
  type SignedResult,
  type SiteReport,
  type RoundKey as WireKey,
} from "@consilium/shared/rpc/gen/federation.js";
import type { RosterDocument } from "@consilium/shared/rpc/gen/roster.js";
import type { Chunk } from "@consilium/shared/rpc/gen/tensor.js";
import { type CallContext, type CallHooks, wrapServerStream, wrapUnary } from "@consilium/shared/rpc/serve-call.js";
import type { RpcService } from "@consilium/shared/rpc/server.js";
import type { AggregateStore } from "../checkpoint/aggregate-store.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { storedState } from "../round/attempt.js";
import { sumsOf } from "../round/results.js";
import type { RunQueue } from "../round/run-queue.js";
import { isMember } from "../round/state.js";
import type { Submissions } from "../round/submissions.js";
import type { SiteRegistry } from "../sites/registry.js";
import type { CertificateRenewal } from "../sites/renewal.js";
import type { RosterDesk } from "../sites/roster-desk.js";
import type { AttemptRow, RunStore } from "../store/run-store.js";
import { codec, requireKey } from "./codec.js";
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
  readonly aggregates: AggregateStore;
  readonly rosters: Pick<RosterDesk, "documentsAfter">;
  readonly clock: Clock;
  readonly renewal: CertificateRenewal;
  /** Every authority that sites must trust, in PEM. */
  readonly trustPem: () => string;
}

/** A site that hears nothing for a few of these knows that its connection is dead. */
const heartbeatMs = 15_000;
const maxVersionChars = 64;
/** Each of these changes the attempt's state on the disk, where others only read. */
const costs = { attach: 10, report: 5 } as const satisfies { [Method in keyof FederationServiceServer]?: number };

export function federationService(options: FederationOptions, hooks: CallHooks): RpcService {
  const implementation: FederationServiceServer = {
    attach: wrapServerStream<AttachRequest, Directive>((request, context) => attach(options, request, context), hooks),
    fetchCheckpoint: wrapServerStream<FetchCheckpointRequest, Chunk>(
      (request, context) => fetchCheckpoint(options, request, context),
      hooks,
    ),
    fetchResults: wrapServerStream<FetchResultsRequest, SignedResult>(
      (request, context) => fetchResults(options, request, context),
      hooks,
    ),
    fetchAggregate: wrapServerStream<FetchCheckpointRequest, Chunk>(
      (request, context) => fetchAggregate(options, request, context),
      hooks,
    ),
    report: wrapUnary<SiteReport, ReportAck>((report, context) => takeReport(options, report, context), hooks),
    fetchRosters: wrapServerStream<FetchRostersRequest, RosterDocument>(
      ({ afterVersion }) => rostersAfter(options, afterVersion),
      hooks,
    ),
    renewCertificate: wrapUnary<RenewRequest, RenewReply>((request, context) => {
      const siteId = requireOwnSite(context, request.siteId);
      const certificatePem = options.renewal.renew({ siteId, csrPem: request.csrPem });
      return { certificatePem, caPem: options.trustPem() };
    }, hooks),
  };
  return { definition: FederationServiceService, implementation, costs };
}

/** A run learns at once what the site does; the answer says that its audit head is kept. */
async function takeReport(
  { registry, submissions }: FederationOptions,
  report: SiteReport,
  context: CallContext,
): Promise<ReportAck> {
  const siteId = requireOwnSite(context, report.siteId);
  const kept = report.auditHead === undefined ? undefined : registry.witness(siteId, report.auditHead);
  try {
    const event = reportEvent(siteId, report);
    if (event !== undefined) submissions.report(requireKey(report.key), event);
  } finally {
    await kept;
  }
  return {};
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

/** The attempt in which the site takes part. @throws ConsiliumError "not-found" */
function requireOwnAttempt(
  { store }: FederationOptions,
  key: WireKey | undefined,
  { identity }: CallContext,
): AttemptRow {
  const row = store.findAttempt(requireKey(key));
  if (row !== undefined && isMember(storedState(row), identity.id)) return row;
  throw notFound(`site ${identity.id} takes no part in this round`);
}

/** A site may read what its own rounds began from or ended with, and what their run began from; nothing else. */
async function* fetchCheckpoint(
  options: FederationOptions,
  request: FetchCheckpointRequest,
  context: CallContext,
): AsyncGenerator<Chunk> {
  const siteId = requireOwnSite(context, context.identity.id);
  const row = requireOwnAttempt(options, request.key, context);
  const digest = hex(request.digest);
  const state = storedState(row);
  const result = state.kind === "committed" ? state.aggregate.checkpointDigest : undefined;
  const initial = options.store.findRun(row.key.runId)?.initialDigest;
  if (![row.parentDigest, result, initial].includes(digest)) {
    throw notFound(`no checkpoint ${digest.slice(0, 64)} in a round of site ${siteId}`);
  }
  yield* streamFile(options.checkpoints.pathOf(digest), request.offset);
}

/** What led to the round that the site takes part in. */
async function* fetchResults(
  options: FederationOptions,
  request: FetchResultsRequest,
  context: CallContext,
): AsyncGenerator<SignedResult> {
  requireOwnSite(context, context.identity.id);
  const { runId, round } = requireOwnAttempt(options, request.key, context).key;
  for (const result of options.store.listResults(runId, request.fromRound)) {
    if (result.round >= round) return;
    yield { body: Buffer.from(result.body), signature: Buffer.from(result.signature) };
  }
}

/** A site may read the sums of the rounds that led to its own. */
async function* fetchAggregate(
  options: FederationOptions,
  request: FetchCheckpointRequest,
  context: CallContext,
): AsyncGenerator<Chunk> {
  requireOwnSite(context, context.identity.id);
  const { runId } = requireOwnAttempt(options, request.key, context).key;
  const digest = hex(request.digest);
  if (!sumsOf(options.store, codec, { runId }).includes(digest)) throw notFound("no such sum in this run");
  yield* streamFile(options.aggregates.pathOf(digest), request.offset);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function notFound(reason: string): ConsiliumError {
  return new ConsiliumError("not-found", reason, { remedy: "follow the plan that comes on the attached stream" });
}

async function* rostersAfter({ rosters }: FederationOptions, version: number): AsyncGenerator<RosterDocument> {
  for (const document of rosters.documentsAfter(version)) yield { document: Buffer.from(document) };
}
