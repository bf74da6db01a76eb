import type { DropReason, RoundKey } from "@consilium/shared/protocol.js";
import type { Figures } from "@consilium/shared/secagg/figures.js";
import type { CollapseThresholds, WatchedRound } from "./collapse.js";
import type { Conduct } from "./conduct.js";
import type { LostAttempt } from "./lost-attempts.js";

/**
 * One attempt at a round. Plain data: it is stored as JSON after every change, and a restarted coordinator continues
 * from it. `transition.ts` is the only place that makes one state out of another.
 */
export type RoundState =
  | Selecting
  | Training
  | Sharing
  | Uploading
  | Confirming
  | Unmasking
  | Aggregating
  | Committed
  | Aborted;

/** A state in which sites have work to do or to wait for. */
export type RunningState = Training | Sharing | Uploading | Confirming | Unmasking | Aggregating;

/** A state with a deadline at which its stage closes. */
export type StageState = Training | Sharing | Uploading | Confirming | Unmasking;

/** What decides an attempt and never changes during it. */
export interface AttemptRules {
  /** Fewest sites in the sum. */
  readonly minSites: number;
  readonly maxSites: number;
  readonly colluders: number;
  readonly allowedSites: readonly string[] | null;
  readonly trainingWindowMs: number;
  readonly stageWindowMs: number;
  /** How long a site may be away before the others stop waiting for it. */
  readonly graceMs: number;
  /** As graceMs, after a restart of the coordinator, when every site must first find it again. */
  readonly recoveryGraceMs: number;
  /** Consecutive attempts lost after training before the run pauses. */
  readonly maxFailures: number;
  /** When features or teacher count as collapsed; null: nobody looks. */
  readonly collapse: CollapseThresholds | null;
}

/** Where a site is in the attempt. */
export type SiteStatus =
  | { readonly kind: "selected" }
  | { readonly kind: "fetching" }
  | { readonly kind: "training" }
  | { readonly kind: "masking" }
  /** Trained, and its keys are here. */
  | { readonly kind: "ready" }
  | { readonly kind: "shared" }
  | { readonly kind: "uploaded" }
  | { readonly kind: "confirmed" }
  | { readonly kind: "unmasked" }
  /** The site's own policy said no; `clause` names its line. */
  | { readonly kind: "refused"; readonly clause: string }
  /** The site said that it cannot. */
  | {
      readonly kind: "failed";
      readonly reason: DropReason;
      readonly code: string;
      /** The sharer whose sealed share, as the site says, does not open. */
      readonly accused?: string;
    }
  | { readonly kind: "dropped"; readonly reason: DropReason };

export interface Member {
  readonly status: SiteStatus;
  /** Local steps reported so far. */
  readonly stepsDone: number;
  readonly uploadedBytes: number;
  /** Since when the site's stream is gone; null while it is there. */
  readonly detachedAtMs: number | null;
}

export interface Exclusion {
  readonly reason: DropReason;
  /** Clause or code behind it, for the researcher. */
  readonly detail: string;
  /** The round that asks the site again, or an earlier one that cannot go on without it; attaching anew changes nothing. */
  readonly untilRound?: number;
}

/** As `AbortStatement`; the signature is hex. */
export interface StoredAbort {
  readonly siteId: string;
  readonly attempt: number;
  readonly signature: string;
}

interface AttemptBase {
  readonly key: RoundKey;
  readonly rules: AttemptRules;
  /** When the round's first attempt began. */
  readonly roundStartedAtMs: number;
  readonly stageStartedAtMs: number;
  /** Attempts at this round lost after training, up to this one. */
  readonly failures: number;
  /** Sites that this run goes on without, until they attach anew or the run is resumed. */
  readonly excluded: Readonly<Record<string, Exclusion>>;
  /** What sites have done wrong since the run was launched or resumed; those without an entry nothing. */
  readonly conduct: Readonly<Record<string, Conduct>>;
  /** What sites of this round's attempts said that they gave up; proves to others that an attempt can never be summed. */
  readonly aborts: readonly StoredAbort[];
  /** The round's earlier attempts that limit whom a sum may be over; oldest first. */
  readonly lostAttempts: readonly LostAttempt[];
  /** The newest rounds committed since the run was launched or resumed, oldest first: what the alarm looks back on. */
  readonly watched: readonly WatchedRound[];
}

export type Members = Readonly<Record<string, Member>>;

/** Waits until enough sites are there. */
export interface Selecting extends AttemptBase {
  readonly kind: "selecting";
  readonly present: readonly string[];
  /** Enrolled sites that are not there. */
  readonly awaited: readonly string[];
  /** Until then, sites in `awaited` are worth waiting for. */
  readonly settleAtMs: number;
  /** What kept sites from the attempt before, for the researcher; they are asked again. */
  readonly lost: Readonly<Record<string, Exclusion>>;
  /** A new attempt leaves the sites a moment after the lost one. */
  readonly notBeforeMs: number;
}

/** Sites train, then advertise their keys; closes with U1. */
export interface Training extends AttemptBase {
  readonly kind: "training";
  readonly members: Members;
  readonly deadlineMs: number;
}

/** Sites of U1 share their secrets; closes with U2. */
export interface Sharing extends AttemptBase {
  readonly kind: "sharing";
  readonly members: Members;
  readonly deadlineMs: number;
  /** U1, sorted. */
  readonly advertisers: readonly string[];
}

/** Sites of U2 upload masked vectors; closes with U3. */
export interface Uploading extends AttemptBase {
  readonly kind: "uploading";
  readonly members: Members;
  readonly deadlineMs: number;
  readonly advertisers: readonly string[];
  /** U2, sorted. */
  readonly sharers: readonly string[];
}

/** Sites of U3 sign that they were shown it; closes with those who did. */
export interface Confirming extends AttemptBase {
  readonly kind: "confirming";
  readonly members: Members;
  readonly deadlineMs: number;
  readonly advertisers: readonly string[];
  readonly sharers: readonly string[];
  /** U3, sorted: the sites in the sum. */
  readonly survivors: readonly string[];
}

/** Sites that confirmed U3 reveal what removes the masks from its sum. */
export interface Unmasking extends AttemptBase {
  readonly kind: "unmasking";
  readonly members: Members;
  readonly deadlineMs: number;
  readonly advertisers: readonly string[];
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  /** Survivors that signed, sorted. */
  readonly signers: readonly string[];
}

/** The sum is being unmasked and the checkpoint written. */
export interface Aggregating extends AttemptBase {
  readonly kind: "aggregating";
  readonly members: Members;
  readonly advertisers: readonly string[];
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
}

/** The checkpoint is durable and the round is over. */
export interface Committed extends AttemptBase {
  readonly kind: "committed";
  readonly members: Members;
  readonly survivors: readonly string[];
  readonly aggregate: Aggregate;
  readonly committedAtMs: number;
  /** Why the run pauses after this round; null: it goes on. */
  readonly alarm: string | null;
}

/** The attempt is over for everyone. */
export interface Aborted extends AttemptBase {
  readonly kind: "aborted";
  readonly members: Members;
  readonly reason: AbortReason;
  readonly next: AfterAbort;
}

export type AbortReason =
  | "too-few-sites"
  | "too-few-shares"
  | "too-few-uploads"
  | "too-few-confirmations"
  | "too-few-reveals"
  | "aggregation-failed"
  | "roster-changed"
  /** Sites of an attempt that was lost are gone, and without them the others accept no sum. */
  | "sites-missing"
  | "stopped";

export type AfterAbort =
  | { readonly kind: "retry"; readonly notBeforeMs: number }
  | { readonly kind: "pause"; readonly reason: string }
  | { readonly kind: "stop"; readonly reason: string };

/** What the sum gave. */
export interface Aggregate {
  /** Hex digest of the new checkpoint. */
  readonly checkpointDigest: string;
  /** Hex digest of the sum, which sites work the checkpoint out from. */
  readonly sumDigest: string;
  /** Sites that advertised keys. */
  readonly advertisers: number;
  /** Mean over the cohort's images. */
  readonly loss: number;
  /** Sum of the sites' weights. */
  readonly weight: number;
  readonly steps: number;
  readonly clipped: number;
  readonly deltaNorm: number;
  /** What the cohort's figures are, those that there are. */
  readonly figures: Figures;
}

export type ReportedPhase = "fetching" | "training" | "masking";

export type RoundEvent =
  | { readonly kind: "site-attached"; readonly siteId: string }
  | { readonly kind: "site-detached"; readonly siteId: string }
  | {
      readonly kind: "phase-reported";
      readonly siteId: string;
      readonly phase: ReportedPhase;
      readonly stepsDone: number;
    }
  /** The site's message of the stage is here and well formed. */
  | { readonly kind: "adverted"; readonly siteId: string; readonly aborts: readonly StoredAbort[] }
  | { readonly kind: "shared"; readonly siteId: string }
  | { readonly kind: "uploaded"; readonly siteId: string; readonly bytes: number }
  | { readonly kind: "confirmed"; readonly siteId: string }
  | { readonly kind: "revealed"; readonly siteId: string }
  | { readonly kind: "refused"; readonly siteId: string; readonly clause: string }
  | {
      readonly kind: "site-failed";
      readonly siteId: string;
      readonly reason: DropReason;
      readonly code: string;
      readonly accused?: string;
    }
  /** The coordinator will not go on with this site: bad message, revoked. */
  | { readonly kind: "site-dropped"; readonly siteId: string; readonly reason: DropReason }
  | { readonly kind: "deadline-ticked" }
  | { readonly kind: "aggregated"; readonly aggregate: Aggregate; readonly blamed: readonly string[] }
  | {
      readonly kind: "aggregation-failed";
      readonly code: string;
      /** What is wrong with the sum, for the researcher. */
      readonly detail: string;
      readonly blamed: readonly string[];
    }
  /** The coordinator has restarted; no site is attached yet. */
  | { readonly kind: "recovered" }
  /** Plans name the roster; sites that follow the new one refuse those that name the old. */
  | { readonly kind: "roster-changed" }
  | { readonly kind: "stopped"; readonly reason: string };

/** What the driver does after the new state is durable, in order. */
export type Effect =
  | { readonly kind: "offer-plan"; readonly sites: readonly string[] }
  | { readonly kind: "withdraw"; readonly sites: readonly string[]; readonly reason: string }
  /** Look at every waiting call again: some have an outcome now. */
  | { readonly kind: "answer-waiters" }
  /** Send `deadline-ticked` at this time; replaces the timer before it. */
  | { readonly kind: "set-timer"; readonly atMs: number }
  | { readonly kind: "start-aggregation" }
  | { readonly kind: "stage-closed"; readonly stage: StageState["kind"] | "aggregating"; readonly durationMs: number }
  | { readonly kind: "site-dropped"; readonly siteId: string; readonly reason: DropReason }
  | { readonly kind: "round-committed" }
  | { readonly kind: "next-attempt"; readonly notBeforeMs: number }
  | { readonly kind: "pause-run"; readonly reason: string }
  | { readonly kind: "stop-run"; readonly reason: string };

export interface Transition {
  readonly state: RoundState;
  readonly effects: readonly Effect[];
}

/** The site has no more part in the attempt. */
export function isOut(status: SiteStatus): boolean {
  return status.kind === "refused" || status.kind === "failed" || status.kind === "dropped";
}

/** The attempt was offered to the site, whatever became of it. */
export function isMember(state: RoundState, siteId: string): boolean {
  return state.kind !== "selecting" && state.members[siteId] !== undefined;
}

export function isOver(state: RoundState): state is Committed | Aborted {
  return state.kind === "committed" || state.kind === "aborted";
}

export function hasDeadline(state: RoundState): state is StageState {
  return (
    state.kind === "training" ||
    state.kind === "sharing" ||
    state.kind === "uploading" ||
    state.kind === "confirming" ||
    state.kind === "unmasking"
  );
}
