import { identityUri } from "@consilium/shared/identity/peer-identity.js";
import {
  type AdminServiceServer,
  AdminServiceService,
  type FetchRosterRequest,
  type FetchWeightsRequest,
  type Invitation,
  type InviteSiteRequest,
  type LaunchPart,
  type LaunchRunRequest,
  type ListRunsReply,
  type ListRunsRequest,
  type ListSitesReply,
  type ListSitesRequest,
  type RunDetail,
  type RunRef,
  type RunSummary,
  type SiteRef,
  type SiteSummary,
} from "@consilium/shared/rpc/gen/admin.js";
import type { RosterDocument, RosterSummary } from "@consilium/shared/rpc/gen/roster.js";
import type { Chunk } from "@consilium/shared/rpc/gen/tensor.js";
import {
  type CallContext,
  type CallHooks,
  wrapClientStream,
  wrapServerStream,
  wrapUnary,
} from "@consilium/shared/rpc/serve-call.js";
import type { RpcService } from "@consilium/shared/rpc/server.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import type { RunQueue } from "../round/run-queue.js";
import type { SiteDesk } from "../sites/desk.js";
import type { RosterDesk } from "../sites/roster-desk.js";
import type { RunStore } from "../store/run-store.js";
import { streamFile } from "./file-stream.js";
import { receiveLaunch } from "./launch-call.js";
import { requireOwnRun } from "./own-run.js";

export interface AdminOptions {
  readonly queue: RunQueue;
  readonly store: Pick<RunStore, "findRun">;
  readonly checkpoints: CheckpointStore;
  readonly sites: SiteDesk;
  readonly rosters: RosterDesk;
  /** Ends the site's calls that are in progress. */
  readonly onRevoked: (siteId: string) => void;
}

export function adminService(options: AdminOptions, hooks: CallHooks): RpcService {
  const implementation: AdminServiceServer = {
    ...runMethods(options, hooks),
    ...siteMethods(options, hooks),
    ...rosterMethods(options, hooks),
  };
  return { definition: AdminServiceService, implementation };
}

function runMethods({ queue, store, checkpoints }: AdminOptions, hooks: CallHooks) {
  /** For what only the run's own researcher and operators may do. @returns the run's id */
  const ownRun = ({ runId }: RunRef, { identity }: CallContext): string => {
    requireOwnRun(identity, store.findRun(runId));
    return runId;
  };
  return {
    launchRun: wrapUnary<LaunchRunRequest, RunSummary>(
      (request, { identity }) => queue.launch({ ...request, launchedBy: identityUri(identity) }),
      hooks,
    ),
    launchRunFrom: wrapClientStream<LaunchPart, RunSummary>(
      (parts, { identity }) => receiveLaunch(queue, parts, identityUri(identity)),
      hooks,
    ),
    listRuns: wrapUnary<ListRunsRequest, ListRunsReply>(() => ({ runs: queue.list() }), hooks),
    getRun: wrapUnary<RunRef, RunDetail>(({ runId }) => queue.detail(runId), hooks),
    stopRun: wrapUnary<RunRef, RunSummary>((run, call) => queue.stop(ownRun(run, call), call.identity.id), hooks),
    resumeRun: wrapUnary<RunRef, RunSummary>((run, call) => queue.resume(ownRun(run, call)), hooks),
    watchRun: wrapServerStream<RunRef, RunDetail>(({ runId }, { signal }) => queue.watch(runId, signal), hooks),
    fetchWeights: wrapServerStream<FetchWeightsRequest, Chunk>(
      (run, call) => streamFile(checkpoints.pathOf(queue.checkpointOf(ownRun(run, call), run.round)), 0),
      hooks,
    ),
  };
}

function siteMethods({ sites, queue, onRevoked }: AdminOptions, hooks: CallHooks) {
  return {
    inviteSite: wrapUnary<InviteSiteRequest, Invitation>((request) => sites.invite(request), hooks),
    listSites: wrapUnary<ListSitesRequest, ListSitesReply>(() => ({ sites: sites.list() }), hooks),
    revokeSite: wrapUnary<SiteRef, SiteSummary>(({ siteId }) => {
      const summary = sites.revoke(siteId);
      queue.dropSite(siteId, "revoked");
      onRevoked(siteId);
      return summary;
    }, hooks),
  };
}

function rosterMethods({ rosters, queue }: AdminOptions, hooks: CallHooks) {
  return {
    publishRoster: wrapUnary<RosterDocument, RosterSummary>(({ document }, { identity }) => {
      const before = rosters.current;
      const summary = rosters.publish(document, identityUri(identity));
      for (const siteId of before?.members.keys() ?? []) {
        if (rosters.current?.members.has(siteId) !== true) queue.dropSite(siteId, "revoked");
      }
      if (before?.digest !== summary.digest) queue.rosterChanged();
      return summary;
    }, hooks),
    fetchRoster: wrapUnary<FetchRosterRequest, RosterDocument>(
      () => ({ document: Buffer.from(rosters.newestDocument() ?? []) }),
      hooks,
    ),
  };
}
