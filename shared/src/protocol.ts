import { createHash } from "node:crypto";

/**
 * What a round is made of, as both processes speak of it. These mirror the messages in `proto/`; the generated types
 * stay inside `rpc/`.
 */

/** Names one try at one round. */
export interface RoundKey {
  readonly runId: string;
  readonly round: number;
  readonly attempt: number;
}

export function roundKeyText(key: RoundKey): string {
  return `${key.runId}/${key.round}/${key.attempt}`;
}

/** What the coordinator asks of a cohort. Units in the names; digests are 32 bytes. */
export interface RoundPlan {
  readonly federation: string;
  readonly key: RoundKey;
  readonly runConfigJson: string;
  readonly checkpointDigest: Uint8Array;
  readonly checkpointBytes: number;
  readonly layoutDigest: Uint8Array;
  readonly dimension: number;
  readonly tensorClips: readonly number[];
  readonly l2Clip: number;
  readonly weightCap: number;
  readonly lanes: readonly string[];
  readonly cohortSize: number;
  readonly colluders: number;
  readonly minCohort: number;
  readonly firstStep: number;
  readonly trainingWindowMs: number;
  readonly stageWindowMs: number;
  /** Of the `CommittedRound` that led to the checkpoint; empty in the first round. */
  readonly previousResultDigest: Uint8Array;
  /** What the coordinator saw of the sites' audit logs. */
  readonly auditWitnesses?: readonly AuditWitness[];
  /** The roster by which the cohort is chosen; version 0 and no digest: none. */
  readonly rosterVersion: number;
  readonly rosterDigest: Uint8Array;
  /** Who launched the run, such as "fed://demo/researcher/r1"; the coordinator's word. */
  readonly launchedBy: string;
}

/** The newest checkpoint of its audit log that a site reported; `head` is the hash of that entry, 32 bytes. */
export interface AuditWitness {
  readonly siteId: string;
  readonly head: Uint8Array;
}

/** A plan with the exact bytes that were signed and that the masks are bound to. */
export interface ReceivedPlan {
  readonly plan: RoundPlan;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

/** What a committed round did to the model: all that a site needs to work out the next checkpoint itself. */
export interface CommittedRound {
  readonly federation: string;
  readonly key: RoundKey;
  /** Of the round before; empty in the first. */
  readonly previousResultDigest: Uint8Array;
  readonly previousCheckpointDigest: Uint8Array;
  readonly previousCheckpointBytes: number;
  readonly checkpointDigest: Uint8Array;
  /** Of the sum: parameters, then lanes. */
  readonly aggregateDigest: Uint8Array;
  /** Sites in the sum, sorted. */
  readonly cohort: readonly string[];
  /** Sites that advertised keys. */
  readonly advertisers: number;
  /** Of the plan that the cohort followed. */
  readonly planDigest: Uint8Array;
  /** h3: of what each site of the cohort uploaded and signed, as the cohort confirmed it. */
  readonly survivorsDigest: Uint8Array;
  readonly tensorClips: readonly number[];
  readonly weightCap: number;
  readonly lanes: readonly string[];
  readonly serverOptimizer: string;
}

/** A committed round with the exact bytes that were signed. */
export interface ReceivedResult {
  readonly result: CommittedRound;
  readonly body: Uint8Array;
}

export interface KeyAdvert {
  readonly siteId: string;
  readonly maskPublicKey: Uint8Array;
  readonly sealPublicKey: Uint8Array;
  readonly selfCommitment: Uint8Array;
  readonly nonce: Uint8Array;
  readonly signature: Uint8Array;
  readonly identityPublicKey: Uint8Array;
}

export interface SealedShare {
  readonly fromSite: string;
  readonly toSite: string;
  readonly ciphertext: Uint8Array;
  /** Proves that the share is one of those under its sender's signed root. */
  readonly path: readonly Uint8Array[];
}

/** What a site shared with all others, as its identity key signed it. */
export interface SignedRoot {
  readonly siteId: string;
  readonly root: Uint8Array;
  readonly signature: Uint8Array;
}

/** A site's message of stage share. */
export interface SealedShares {
  readonly shares: readonly SealedShare[];
  readonly root: Uint8Array;
  readonly signature: Uint8Array;
}

export interface Delivered {
  readonly sharers: readonly SignedRoot[];
  readonly shares: readonly SealedShare[];
}

/** What a site uploaded, as its identity key signed it. */
export interface SignedUpload {
  readonly siteId: string;
  readonly sha256: Uint8Array;
  readonly signature: Uint8Array;
}

export interface SiteSignature {
  readonly siteId: string;
  readonly signature: Uint8Array;
}

/** A site's message of stage advertise. */
export interface Advertisement {
  readonly advert: KeyAdvert;
  /** About this round's earlier attempts in which the site confirmed nothing. */
  readonly aborts: readonly AbortStatement[];
}

/** What the coordinator makes of all sites' advertisements. */
export interface Advertised {
  readonly adverts: readonly KeyAdvert[];
  readonly aborts: readonly AbortStatement[];
}

/** Its site never confirms survivors of that attempt at the round any more. */
export interface AbortStatement extends SiteSignature {
  readonly attempt: number;
}

export type RevealedShare =
  | { readonly $case: "selfShare"; readonly value: Uint8Array }
  | { readonly $case: "pairwiseShare"; readonly value: Uint8Array };

export interface Reveal {
  readonly aboutSite: string;
  readonly share: RevealedShare;
}

/** Why a site is not, or no longer, part of an attempt. */
export type DropReason =
  | "deadline"
  | "refused"
  | "training-failed"
  | "not-finite"
  | "wrong-length"
  | "bad-signature"
  | "bad-share"
  | "bad-message"
  | "revoked"
  | "detached"
  | "withdrawn";

/** ctx = SHA-256("fsa1/ctx" ‖ plan bytes): binds every mask, share and signature of an attempt to one plan. */
export function planContext(body: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update("fsa1/ctx").update(body).digest());
}

export const planSignatureLabel = "consilium/plan\0";
export const resultSignatureLabel = "consilium/result\0";

/** SHA-256 of what was signed: how plans and results name the one before them. */
export function bodyDigest(body: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(body).digest());
}
