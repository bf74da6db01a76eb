import type {
  Advertised,
  Advertisement,
  Delivered,
  ReceivedPlan,
  ReceivedResult,
  Reveal,
  RoundKey,
  SealedShares,
  SignedUpload,
  SiteSignature,
} from "@consilium/shared/protocol.js";
import type { SignedRoster } from "@consilium/shared/roster/signed-roster.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";

/** What the coordinator tells an attached site. Plans have been verified against the pinned plan key. */
export type Directive =
  | { readonly kind: "plan"; readonly received: ReceivedPlan }
  | { readonly kind: "withdrawal"; readonly key: RoundKey; readonly reason: string }
  | { readonly kind: "heartbeat"; readonly sentAtMs: number };

/** A site's message of one masking stage; the upload stage has its own call. */
export type StageMessage =
  | { readonly stage: "advertise"; readonly advertisement: Advertisement }
  | { readonly stage: "share"; readonly sealed: SealedShares }
  | { readonly stage: "confirm"; readonly signature: Uint8Array }
  | { readonly stage: "unmask"; readonly reveals: readonly Reveal[] };

/** How a stage ended for this site. */
export type StageOutcome =
  | { readonly kind: "advertised"; readonly advertised: Advertised }
  | { readonly kind: "delivered"; readonly delivered: Delivered }
  | { readonly kind: "survivors"; readonly uploads: readonly SignedUpload[] }
  | { readonly kind: "confirmed"; readonly signatures: readonly SiteSignature[] }
  | { readonly kind: "result"; readonly cohort: readonly string[]; readonly checkpointDigest: Uint8Array }
  | { readonly kind: "dropped"; readonly reason: string }
  | { readonly kind: "aborted"; readonly reason: string };

export type SitePhase = "fetching" | "training" | "masking" | "done" | "refused" | "failed";

export interface SiteReport {
  readonly key: RoundKey;
  readonly phase: SitePhase;
  /** An error code or empty; never free text from this machine. */
  readonly code: string;
  /** The line of the policy that refused, or empty. */
  readonly clause: string;
  readonly stepsDone: number;
  /** The site whose share did not open, or empty. */
  readonly accused: string;
}

export interface CheckpointRequest {
  readonly key: RoundKey;
  readonly digest: Uint8Array;
  /** Bytes that are here already; the rest is sent. */
  readonly offset: number;
  readonly signal: AbortSignal;
}

/** A stretch of a checkpoint; `offset` is its place in the whole. */
export interface CheckpointChunk {
  readonly offset: number;
  readonly data: Buffer;
}

export interface ResultsRequest {
  readonly key: RoundKey;
  readonly fromRound: number;
  readonly signal: AbortSignal;
}

export interface StageCall {
  readonly key: RoundKey;
  /** The coordinator answers when the stage closes; after this long the call is given up as "deadline". */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * The coordinator, as a round sees it. Every call may be repeated with the same content. All throw ConsiliumError
 * "unreachable" while the coordinator cannot be reached, and AbortedError when their signal fires.
 */
export interface CoordinatorClient {
  /** Ends, or throws, when the connection is lost. */
  attach(signal: AbortSignal): AsyncIterable<Directive>;
  fetchCheckpoint(request: CheckpointRequest): AsyncIterable<CheckpointChunk>;
  /** The sum of a committed round by its digest. */
  fetchAggregate(request: CheckpointRequest): AsyncIterable<CheckpointChunk>;
  /** What the rounds before the key's did to the model, oldest first; verified against the pinned plan key. */
  fetchResults(request: ResultsRequest): AsyncIterable<ReceivedResult>;
  /** The rosters after this version, oldest first; throws "roster-refused" for one that cannot be read. */
  fetchRosters(afterVersion: number): Promise<readonly SignedRoster[]>;
  report(report: SiteReport, signal: AbortSignal): Promise<void>;
  exchange(message: StageMessage, call: StageCall): Promise<StageOutcome>;
  upload(upload: MaskedUpload, call: StageCall): Promise<StageOutcome>;
}
