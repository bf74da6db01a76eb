import type { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { GovernanceRefusal } from "../governance/governance-refusal.js";
import { SiteRefusal } from "../refusal.js";
import { ProtocolRefusal } from "../secagg/refusal.js";
import type { StageOutcome } from "./coordinator.js";
import type { ParticipantEvent } from "./state.js";

/** What a failure means for the site's part in the attempt. Answers that mean "not in this attempt" are no failures of the site. */
export function eventAfter(error: ConsiliumError, key: RoundKey): ParticipantEvent {
  const { code, message } = error;
  const ended = (outcome: StageOutcome): ParticipantEvent => ({ kind: "outcome", key, outcome });
  if (error instanceof ProtocolRefusal && code !== "policy-refused") return { kind: "failed", key, error };
  if (code === "stale" || code === "attempt-aborted") return ended({ kind: "aborted", reason: message });
  if (code === "dropped" || code === "message-conflict") return ended({ kind: "dropped", reason: message });
  if (error instanceof SiteRefusal) return { kind: "refused", key, clause: error.clause, error };
  // The masking code counts cohort and attempts again at each stage; what is not enough is the site's own refusal.
  if (code === "policy-refused") return { kind: "refused", key, clause: clauseOf(error) };
  return { kind: "failed", key, error };
}

function clauseOf(error: ConsiliumError): string {
  if (error instanceof GovernanceRefusal) return error.clause;
  const check = error instanceof ProtocolRefusal ? error.check : "";
  return clauseOfCheck[check] ?? "secagg.minCohort";
}

const clauseOfCheck: Readonly<Record<string, string>> = {
  "attempts-left": "secagg.maxAttempts",
  "attempts-begun": "secagg.maxAttempts",
  "required-peers": "secagg.requiredPeers",
};
