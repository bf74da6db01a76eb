import { chooseCohort, eligibleSites } from "../sites/selection.js";
import { selectionFloor } from "./rules.js";
import type { Exclusion, Member, RoundEvent, Selecting, Training, Transition } from "./state.js";

/** The state in which an attempt waits for its sites. */

export function newMember(detachedAtMs: number | null = null): Member {
  return { status: { kind: "selected" }, stepsDone: 0, uploadedBytes: 0, detachedAtMs };
}

export function onSelecting(state: Selecting, event: RoundEvent, nowMs: number): Selecting {
  const without = (sites: readonly string[], siteId: string) => sites.filter((site) => site !== siteId);
  switch (event.kind) {
    case "site-attached":
      return {
        ...state,
        present: [...without(state.present, event.siteId), event.siteId].sort(),
        awaited: without(state.awaited, event.siteId),
        excluded: readmit(state.excluded, event.siteId),
      };
    case "site-detached":
      return {
        ...state,
        present: without(state.present, event.siteId),
        awaited: [...without(state.awaited, event.siteId), event.siteId].sort(),
      };
    // A site may say no just after another one's refusal has ended the attempt.
    case "refused":
      return {
        ...state,
        excluded: { ...state.excluded, [event.siteId]: { reason: "refused", detail: event.clause } },
      };
    case "site-dropped":
      return {
        ...state,
        present: without(state.present, event.siteId),
        awaited: without(state.awaited, event.siteId),
      };
    case "recovered":
      return {
        ...state,
        present: [],
        awaited: [...state.present, ...state.awaited].sort(),
        settleAtMs: nowMs + state.rules.recoveryGraceMs,
      };
    default:
      return state;
  }
}

/**
 * A site that refused may have another policy once it attaches anew, and one that stalled may have been repaired; what
 * only a faulty or hostile site sends is not forgiven so easily.
 */
export function readmit(
  excluded: Readonly<Record<string, Exclusion>>,
  siteId: string,
): Readonly<Record<string, Exclusion>> {
  const reason = excluded[siteId]?.reason;
  if (reason !== "refused" && reason !== "deadline") return excluded;
  return Object.fromEntries(Object.entries(excluded).filter(([site]) => site !== siteId));
}

/** Begins the training stage when enough sites are there and those on their way had their moment. */
export function trySelect(state: Selecting, nowMs: number): Transition {
  const wait = (atMs: number): Transition => ({ state, effects: [{ kind: "set-timer", atMs }] });
  if (nowMs < state.notBeforeMs) return wait(state.notBeforeMs);
  const eligible = eligibleIn(state, state.present);
  if (eligible.length < selectionFloor(state.rules)) return { state, effects: [] };
  if (nowMs < state.settleAtMs && eligibleIn(state, state.awaited).length > 0) return wait(state.settleAtMs);
  const { runId, round } = state.key;
  return begin(state, chooseCohort(eligible, state.rules.maxSites, `${runId}/${round}`), nowMs);
}

export function eligibleIn(state: Selecting, present: readonly string[]): string[] {
  const { rules, excluded } = state;
  return eligibleSites({ present, allowed: rules.allowedSites, excluded: new Set(Object.keys(excluded)) });
}

function begin(state: Selecting, cohort: readonly string[], nowMs: number): Transition {
  const { key, rules, roundStartedAtMs, failures, excluded, aborts, conduct, watched } = state;
  const training: Training = {
    kind: "training",
    ...{ key, rules, roundStartedAtMs, failures, excluded, aborts, conduct, watched },
    stageStartedAtMs: nowMs,
    members: Object.fromEntries(cohort.map((site) => [site, newMember()])),
    deadlineMs: nowMs + rules.trainingWindowMs,
  };
  return {
    state: training,
    effects: [
      { kind: "offer-plan", sites: cohort },
      { kind: "set-timer", atMs: training.deadlineMs },
    ],
  };
}
