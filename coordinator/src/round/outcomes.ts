import type { StageName } from "../store/run-store.js";
import { isOut, type Member, type RoundState, type RunningState, type StoredAbort } from "./state.js";

/** What a stage's call is answered with. Site lists are sorted. */
export type Outcome =
  | { readonly kind: "advertised"; readonly advertisers: readonly string[]; readonly aborts: readonly StoredAbort[] }
  | { readonly kind: "delivered"; readonly sharers: readonly string[] }
  | { readonly kind: "survivors"; readonly sites: readonly string[] }
  | { readonly kind: "confirmed"; readonly signers: readonly string[] }
  | { readonly kind: "result"; readonly cohort: readonly string[]; readonly checkpointDigest: string }
  | { readonly kind: "dropped"; readonly reason: string }
  | { readonly kind: "aborted"; readonly reason: string };

/**
 * The answer to a site's call, from the state alone, so that a call repeated after a restart is answered alike.
 * Undefined while the stage is open.
 */
export function outcomeOf(state: RoundState, siteId: string, stage: StageName): Outcome | undefined {
  switch (state.kind) {
    case "selecting":
      return undefined;
    case "aborted":
      return { kind: "aborted", reason: state.reason };
    case "committed":
      return state.survivors.includes(siteId)
        ? { kind: "result", cohort: state.survivors, checkpointDigest: state.aggregate.checkpointDigest }
        : droppedOutcome(state.members[siteId]);
    default:
      return runningOutcome(state, siteId, stage);
  }
}

function runningOutcome(state: RunningState, siteId: string, stage: StageName): Outcome | undefined {
  const member = state.members[siteId];
  if (member === undefined || isOut(member.status)) return droppedOutcome(member);
  switch (stage) {
    case "advertise":
      if (state.kind === "training") return undefined;
      return { kind: "advertised", advertisers: state.advertisers, aborts: state.aborts };
    case "share":
      return "sharers" in state ? { kind: "delivered", sharers: state.sharers } : undefined;
    case "upload":
      return "survivors" in state ? { kind: "survivors", sites: state.survivors } : undefined;
    case "confirm":
      return "signers" in state ? { kind: "confirmed", signers: state.signers } : undefined;
    case "unmask":
      return undefined;
  }
}

/** A site that is in no list of the attempt came too late for it, or was never asked. */
function droppedOutcome(member: Member | undefined): Outcome {
  const status = member?.status;
  switch (status?.kind) {
    case "refused":
      return { kind: "dropped", reason: "refused" };
    case "failed":
    case "dropped":
      return { kind: "dropped", reason: status.reason };
    default:
      return { kind: "dropped", reason: "withdrawn" };
  }
}
