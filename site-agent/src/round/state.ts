import type { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import type { SitePhase, StageOutcome } from "./coordinator.js";

/**
 * Where this site is in the round it was last asked to join.
 *
 *     idle ─▶ fetching ─▶ training ─▶ ready ─▶ sharing ─▶ uploading ─▶ confirming ─▶ unmasking ─▶ done
 *      └──────── an update of an earlier attempt exists ──▶ ┘
 *     any active state ─▶ refused | failed | left
 *
 * A plan for another attempt or round starts again from any state.
 */
export type ParticipantState =
  | { readonly kind: "idle" }
  /** The checkpoint is on its way. */
  | { readonly kind: "fetching"; readonly key: RoundKey }
  | { readonly kind: "training"; readonly key: RoundKey; readonly stepsDone: number }
  /** The update is on disk; keys are advertised, and the coordinator waits for the other sites. */
  | { readonly kind: "ready"; readonly key: RoundKey }
  | { readonly kind: "sharing"; readonly key: RoundKey }
  | { readonly kind: "uploading"; readonly key: RoundKey }
  /** The survivors are known; this site signs that it was shown them and will accept no others. */
  | { readonly kind: "confirming"; readonly key: RoundKey }
  | { readonly kind: "unmasking"; readonly key: RoundKey }
  /** The coordinator has a durable checkpoint with this site's update in it. */
  | { readonly kind: "done"; readonly key: RoundKey }
  /** The site's own policy or schedule said no. */
  | { readonly kind: "refused"; readonly key: RoundKey; readonly clause: string }
  | { readonly kind: "failed"; readonly key: RoundKey; readonly code: string }
  /** The attempt goes on, or ended, without this site; the update is kept for the next attempt. */
  | { readonly kind: "left"; readonly key: RoundKey; readonly cause: LeftCause };

export type LeftCause = "dropped" | "aborted" | "withdrawn" | "restarted";

export type ParticipantEvent =
  | {
      readonly kind: "plan-accepted";
      readonly key: RoundKey;
      /** An update for this round, from this checkpoint, is on disk. */
      readonly updateReady: boolean;
      /** This site advertised keys in this very attempt and lost them when it was restarted. */
      readonly advertised: boolean;
    }
  | { readonly kind: "plan-refused"; readonly key: RoundKey; readonly clause: string }
  /** The plan contradicts itself or this site's own layout. */
  | { readonly kind: "plan-invalid"; readonly key: RoundKey; readonly error: ConsiliumError }
  | { readonly kind: "withdrawn"; readonly key: RoundKey }
  | { readonly kind: "fetched"; readonly key: RoundKey }
  | { readonly kind: "progress"; readonly key: RoundKey; readonly stepsDone: number }
  | { readonly kind: "trained"; readonly key: RoundKey }
  | { readonly kind: "refused"; readonly key: RoundKey; readonly clause: string; readonly error?: ConsiliumError }
  /** A plan for a later round proves that this one is committed; it can overtake the answer that says so. */
  | { readonly kind: "committed"; readonly key: RoundKey }
  | { readonly kind: "outcome"; readonly key: RoundKey; readonly outcome: StageOutcome }
  | { readonly kind: "failed"; readonly key: RoundKey; readonly error: ConsiliumError };

/** Work that takes time; at most one runs at once, and it ends in an event with the same key. */
export type Work = "fetch" | "train" | "advertise" | "share" | "upload" | "confirm" | "unmask";

export type ParticipantEffect =
  /** Stop the work that runs and erase the attempt's secrets. */
  | { readonly kind: "abandon" }
  | { readonly kind: "perform"; readonly work: Work; readonly key: RoundKey; readonly outcome?: StageOutcome }
  | {
      readonly kind: "report";
      readonly key: RoundKey;
      readonly phase: SitePhase;
      readonly code: string;
      readonly clause: string;
      readonly stepsDone: number;
      readonly accused: string;
    }
  /** The round is committed: its update is no longer needed. */
  | { readonly kind: "forget-update"; readonly key: RoundKey };
