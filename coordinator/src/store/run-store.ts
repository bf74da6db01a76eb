import type { RoundKey } from "@consilium/shared/protocol.js";

/** What the coordinator remembers about runs. Every write is durable when the call returns. */

export type RunStatus = "queued" | "running" | "paused" | "completed" | "stopped" | "failed";

export interface RunRow {
  readonly runId: string;
  readonly requestId: string;
  readonly name: string;
  /** RunConfig as canonical JSON. */
  readonly configJson: string;
  readonly status: RunStatus;
  readonly reason: string;
  /** Newest checkpoint, hex. */
  readonly checkpointDigest: string;
  readonly initialDigest: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** URI of the caller's certificate; empty in what an older version stored. */
  readonly launchedBy: string;
}

/** One attempt at a round. `stateJson` and `recordJson` belong to the round module; the store does not look inside. */
export interface AttemptRow {
  readonly key: RoundKey;
  readonly kind: string;
  readonly stateJson: string;
  readonly planBody: Uint8Array;
  readonly planSignature: Uint8Array;
  /** Checkpoint that the attempt starts from, hex. */
  readonly parentDigest: string;
  /** Present when the attempt was committed. */
  readonly recordJson: string | null;
}

export type StageName = "advertise" | "share" | "upload" | "confirm" | "unmask";

export interface StageMessage {
  readonly siteId: string;
  readonly stage: StageName;
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface UploadRow {
  readonly siteId: string;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: Uint8Array;
  /** The site's, by its identity key. */
  readonly signature: Uint8Array;
}

/** Everything that changes with one step of an attempt; applied in one transaction. */
export interface AttemptStep {
  readonly key: RoundKey;
  readonly kind: string;
  readonly stateJson: string;
  readonly message?: StageMessage;
  readonly upload?: UploadRow;
  /** What the step costs of the sites' privacy, as JSON; kept for ever. */
  readonly release?: string | undefined;
  readonly commit?: {
    readonly recordJson: string;
    readonly checkpointDigest: string;
    readonly result: { readonly body: Uint8Array; readonly signature: Uint8Array };
    readonly status: RunStatus;
    /** Why the run pauses after the round. */
    readonly reason: string;
  };
  /** The run's new status when the step pauses or stops it. */
  readonly run?: { readonly status: RunStatus; readonly reason: string };
  readonly nowMs: number;
}

/** What a committed round did to the model, as it was signed. */
export interface ResultRow {
  readonly round: number;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

export interface RunStore {
  /** Adds a run, or returns the one that the same request made before. */
  addRun(row: RunRow): RunRow;
  findRun(runId: string): RunRow | undefined;
  findRunByRequest(requestId: string): RunRow | undefined;
  /** Oldest first. */
  listRuns(): RunRow[];
  setRunStatus(runId: string, change: { status: RunStatus; reason: string; nowMs: number }): void;

  addAttempt(row: AttemptRow): void;
  findAttempt(key: RoundKey): AttemptRow | undefined;
  newestAttempt(runId: string): AttemptRow | undefined;
  advance(step: AttemptStep): void;
  /** What a run's attempts cost of the sites' privacy, as JSON, oldest first. */
  listReleases(runId: string): string[];
  /** Records of committed rounds as JSON, oldest first. */
  listRecords(runId: string): string[];
  /** Results of committed rounds from `fromRound` on, oldest first. */
  listResults(runId: string, fromRound: number): ResultRow[];

  findMessage(key: RoundKey, siteId: string, stage: StageName): StageMessage | undefined;
  listMessages(key: RoundKey, stage: StageName): StageMessage[];
  findUpload(key: RoundKey, siteId: string): UploadRow | undefined;
  listUploads(key: RoundKey): UploadRow[];
  /** Forgets what the sites sent in an attempt that is over. */
  eraseMessages(key: RoundKey): void;

  addEvent(event: { atMs: number; kind: string; fields: Readonly<Record<string, unknown>> }): void;
}
