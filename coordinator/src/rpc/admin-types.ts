import type { RunDetail, RunSummary } from "../round/progress.js";
import type { RosterSummary } from "../sites/roster-desk.js";

/** What researchers and operators ask of a coordinator, in the words of `admin.proto`. Zero and "" stand for absent. */
export interface Admin {
  launchRun(request: LaunchRequest): Promise<RunSummary>;
  /** The same with weights to begin with; `values` gives them in the order of the run's checkpoint. */
  launchRunFrom(request: LaunchRequest & WarmStart, signal: AbortSignal): Promise<RunSummary>;
  listRuns(): Promise<readonly RunSummary[]>;
  getRun(runId: string): Promise<RunDetail>;
  stopRun(runId: string): Promise<RunSummary>;
  resumeRun(runId: string): Promise<RunSummary>;
  /** The run as it is now, then again after each change, until it ends. */
  watchRun(runId: string, signal: AbortSignal): AsyncIterable<RunDetail>;
  /** A checkpoint as a byte stream; without a round, the newest. */
  fetchWeights(request: WeightsRequest, signal: AbortSignal): AsyncIterable<WeightsChunk>;
  inviteSite(request: { readonly siteId: string; readonly validHours: number }): Promise<Invitation>;
  listSites(): Promise<readonly SiteSummary[]>;
  revokeSite(siteId: string): Promise<SiteSummary>;
  /** @param document a signed roster, as `signedRosterBytes` gives it */
  publishRoster(document: Uint8Array): Promise<RosterSummary>;
  /** The newest signed roster; empty where none was published. */
  fetchRoster(): Promise<Uint8Array>;
  close(): void;
}

export interface LaunchRequest {
  readonly requestId: string;
  readonly configYaml: string;
}

export interface WarmStart {
  /** SHA-256 of the file that the weights come from, hex. */
  readonly sourceSha256: string;
  readonly values: AsyncIterable<Float32Array>;
}

export interface WeightsRequest {
  readonly runId: string;
  readonly round?: number | undefined;
}

export interface WeightsChunk {
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface Invitation {
  readonly siteId: string;
  readonly token: string;
  readonly expiresAtMs: number;
}

export interface SiteSummary {
  readonly siteId: string;
  /** invited, enrolled or revoked. */
  readonly status: string;
  readonly attached: boolean;
  readonly lastSeenMs: number;
  readonly agentVersion: string;
  readonly identityFingerprint: string;
  readonly certificateExpiresMs: number;
}
