import { collapseReason, watchAlso } from "./collapse.js";
import { forgive, rested } from "./conduct.js";
import { lostBy } from "./lost-attempts.js";
import { retryDelayMs, selectionFloor } from "./rules.js";
import { whatIsMissing } from "./safe-sites.js";
import {
  type AbortReason,
  type AfterAbort,
  type Aggregating,
  type Effect,
  type Exclusion,
  isOut,
  type Members,
  type RoundEvent,
  type RoundState,
  type RunningState,
  type Selecting,
  type Transition,
} from "./state.js";

/** The ways an attempt ends. */

const reasonText: Record<AbortReason, string> = {
  "too-few-sites": "too few sites finished training",
  "too-few-shares": "too few sites shared their keys",
  "too-few-uploads": "too few sites uploaded",
  "too-few-confirmations": "too few sites confirmed whose updates are in the sum",
  "too-few-reveals": "too few sites helped to unmask",
  "aggregation-failed": "the sum could not be unmasked or stored",
  "roster-changed": "another roster was published",
  "sites-missing": "too few sites that accept one sum",
  stopped: "stopped",
};

/** A lost attempt is followed by another, until too many in a row were lost after training. */
export function abort(state: RunningState, reason: AbortReason, nowMs: number): Transition {
  const failures = state.kind === "training" ? state.failures : state.failures + 1;
  if (failures >= state.rules.maxFailures) {
    const text = `${failures} attempts in a row were lost: ${reasonText[reason]}`;
    return end({ ...state, failures }, reason, { kind: "pause", reason: `${text}${waitsFor(state)}` });
  }
  const notBeforeMs = nowMs + retryDelayMs(state.key.attempt);
  return end({ ...state, failures }, reason, { kind: "retry", notBeforeMs });
}

/** What the next attempt would wait for, should only the sites that are there now be there. */
function waitsFor(state: RunningState): string {
  const { members, rules, aborts } = state;
  const here = Object.keys(members).filter((site) => members[site]!.detachedAtMs === null);
  const size = { fewest: selectionFloor(rules), most: rules.maxSites, colluders: rules.colluders };
  const missing = whatIsMissing({ lostAttempts: withLost(state), aborts, rules }, here, size);
  return missing === "" ? "" : `; the next one needs ${missing}`;
}

function withLost(state: RoundState): RoundState["lostAttempts"] {
  const lost = lostBy(state);
  return lost === undefined ? state.lostAttempts : [...state.lostAttempts, lost];
}

/** The round cannot go on without sites that do not come back; a person must know. */
export function giveUpWaiting(state: Selecting, missing: string): Transition {
  return end(state, "sites-missing", { kind: "pause", reason: `waited in vain for ${missing}` });
}

export function stop(state: Exclude<RoundState, { kind: "committed" | "aborted" }>, reason: string): Transition {
  return end(state, "stopped", { kind: "stop", reason });
}

/**
 * The next attempt names the new roster; what sites have trained they keep. Once keys are exchanged the attempt goes on,
 * among sites that agree on who they are. Those that refused may say yes now.
 */
export function changeRoster(state: Exclude<RoundState, { kind: "committed" | "aborted" }>, nowMs: number): Transition {
  const excluded = Object.fromEntries(
    Object.entries(state.excluded).filter(([, exclusion]) => exclusion.reason !== "refused"),
  );
  const readmitted = { ...state, excluded };
  if (state.kind !== "selecting" && state.kind !== "training") return { state: readmitted, effects: [] };
  return end(readmitted, "roster-changed", { kind: "retry", notBeforeMs: nowMs });
}

function end(state: Exclude<RoundState, { kind: "committed" }>, reason: AbortReason, next: AfterAbort): Transition {
  const members: Members = state.kind === "selecting" ? {} : state.members;
  const { key, rules, roundStartedAtMs, stageStartedAtMs, failures, excluded, aborts, conduct, watched } = state;
  const lostAttempts = withLost(state);
  const base = { key, rules, roundStartedAtMs, stageStartedAtMs, failures, excluded, aborts, conduct, watched };
  return {
    state: { ...base, kind: "aborted", lostAttempts, members, reason, next },
    effects: [{ kind: "answer-waiters" }, ...effectsOf(next, activeSites(members))],
  };
}

/** Sites keep their training through a retry: the next attempt is at the same round, so nothing is withdrawn. */
function effectsOf(next: AfterAbort, active: readonly string[]): Effect[] {
  switch (next.kind) {
    case "retry":
      return [{ kind: "next-attempt", notBeforeMs: next.notBeforeMs }];
    case "pause":
      return [
        { kind: "withdraw", sites: active, reason: "paused" },
        { kind: "pause-run", reason: next.reason },
      ];
    case "stop":
      return [
        { kind: "withdraw", sites: active, reason: "stopped" },
        { kind: "stop-run", reason: next.reason },
      ];
  }
}

/** A round whose figures complete a collapse is committed like any other, and the run pauses after it. */
export function commit(
  state: Aggregating,
  { aggregate, blamed }: Extract<RoundEvent, { kind: "aggregated" }>,
  nowMs: number,
): Transition {
  const { key, rules, roundStartedAtMs, stageStartedAtMs, members, survivors } = state;
  const base = { key, rules, roundStartedAtMs, stageStartedAtMs, failures: 0, members, survivors };
  const excluded = rested(excludeBlamed(state, blamed), key.round + 1);
  const watched = watchAlso(state.watched, { round: key.round, figures: aggregate.figures }, rules.collapse);
  const alarm = collapseReason(watched, rules.collapse) ?? null;
  return {
    state: {
      ...base,
      kind: "committed",
      aborts: [],
      lostAttempts: [],
      excluded,
      conduct: forgive(state),
      watched,
      aggregate,
      committedAtMs: nowMs,
      alarm,
    },
    effects: [
      { kind: "stage-closed", stage: "aggregating", durationMs: nowMs - stageStartedAtMs },
      ...blamedEffects(blamed),
      { kind: "answer-waiters" },
      { kind: "round-committed" },
      ...(alarm === null ? [] : [{ kind: "pause-run" as const, reason: alarm }]),
    ],
  };
}

/** Sites that gave wrong shares take no part in the next attempt; with them it would fail in the same way. */
export function failAggregation(
  state: Aggregating,
  event: Extract<RoundEvent, { kind: "aggregation-failed" }>,
  nowMs: number,
): Transition {
  // Where half the sites are suspected, nothing says which half is honest, and leaving all out would end the run.
  const blamed = event.blamed.length * 2 < state.survivors.length ? event.blamed : [];
  const left = { ...state, excluded: excludeBlamed(state, blamed) };
  const ended =
    event.code === "aggregate-invalid" ? rejectSum(left, event.detail) : abort(left, "aggregation-failed", nowMs);
  return { state: ended.state, effects: [...blamedEffects(blamed), ...ended.effects] };
}

/** The same sites would send the same again, and which of them it was nobody can tell. */
function rejectSum(state: Aggregating, detail: string): Transition {
  const reason = `the sum of round ${state.key.round} is not taken over, and the model stays as it was: ${detail}`;
  return end({ ...state, failures: state.failures + 1 }, "aggregation-failed", { kind: "pause", reason });
}

function excludeBlamed(state: Aggregating, blamed: readonly string[]): Readonly<Record<string, Exclusion>> {
  const exclusion: Exclusion = { reason: "bad-share", detail: `round ${state.key.round}` };
  return { ...state.excluded, ...Object.fromEntries(blamed.map((site) => [site, exclusion])) };
}

function blamedEffects(blamed: readonly string[]): Effect[] {
  return blamed.map((siteId) => ({ kind: "site-dropped", siteId, reason: "bad-share" }));
}

export function activeSites(members: Members): string[] {
  return Object.keys(members)
    .filter((site) => !isOut(members[site]!.status))
    .sort();
}
