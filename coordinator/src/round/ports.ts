import type {
  Advertisement,
  CommittedRound,
  DropReason,
  Reveal,
  RoundKey,
  RoundPlan,
  SealedShares,
} from "@consilium/shared/protocol.js";
import type { StageState } from "./state.js";

/** The edges of the round: what it needs from the network and tells the metrics. */

export interface SignedPlan {
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

/** An encoded `CommittedRound`. */
export type SignedResult = SignedPlan;

/** Reaches sites that are attached; for others it does nothing, as they get the current plan when they attach. */
export interface SiteTransport {
  offer(siteId: string, plan: SignedPlan): void;
  withdraw(siteId: string, withdrawal: { readonly key: RoundKey; readonly reason: string }): void;
}

/** Between the stored bytes of a message and what it says. */
export interface MessageCodec {
  encodePlan(plan: RoundPlan): Uint8Array;
  decodePlan(body: Uint8Array): RoundPlan;
  encodeResult(result: CommittedRound): Uint8Array;
  decodeResult(body: Uint8Array): CommittedRound;
  decodeAdvert(bytes: Uint8Array): Advertisement;
  decodeShares(bytes: Uint8Array): SealedShares;
  /** @returns the signature under the survivors */
  decodeConfirmation(bytes: Uint8Array): Uint8Array;
  decodeReveals(bytes: Uint8Array): Reveal[];
}

export interface CommittedFacts {
  readonly loss: number;
  readonly participants: number;
  /** Share of the run's rounds. */
  readonly progress: number;
  /** By name. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Hears what happens, for metrics; must not throw. */
export interface RoundObserver {
  roundEnded(outcome: "committed" | "aborted"): void;
  roundCommitted(facts: CommittedFacts): void;
  /** Why: too many lost attempts, features or a teacher that have collapsed, or a privacy budget that is spent. */
  runPaused(cause: "lost-attempts" | "collapse" | "privacy-budget"): void;
  cohortSelected(participants: number): void;
  stageClosed(stage: StageState["kind"] | "aggregating", durationMs: number): void;
  siteDropped(reason: DropReason): void;
  uploadStored(bytes: number): void;
}
