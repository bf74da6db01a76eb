import { chooseCohort, eligibleSites } from "../sites/selection.js";
import { giveUpWaiting } from "./ending.js";
import { boundsOn } from "./lost-attempts.js";
import { selectionFloor, sumSize } from "./rules.js";
import { safeSites, whatIsMissing } from "./safe-sites.js";
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
        excluded: withRefusal(state.excluded, event.siteId, event.clause),
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

/** A refusal ends as soon as the site attaches anew, so it must not take the place of what ends later, or never. */
export function withRefusal(
  excluded: Readonly<Record<string, Exclusion>>,
  siteId: string,
  clause: string,
): Readonly<Record<string, Exclusion>> {
  const known = excluded[siteId];
  if (known !== undefined && !endsByAttaching(known)) return excluded;
  return { ...excluded, [siteId]: { reason: "refused", detail: clause } };
}

function endsByAttaching({ reason, untilRound }: Exclusion): boolean {
  return untilRound === undefined && (reason === "refused" || reason === "deadline");
}

/**
 * A site that refused may have another policy once it attaches anew, and one that stalled may have been repaired; what
 * only a faulty or hostile site sends is not forgiven so easily.
 */
export function readmit(
  excluded: Readonly<Record<string, Exclusion>>,
  siteId: string,
): Readonly<Record<string, Exclusion>> {
  const known = excluded[siteId];
  if (known === undefined || !endsByAttaching(known)) return excluded;
  return Object.fromEntries(Object.entries(excluded).filter(([site]) => site !== siteId));
}

/** Begins the training stage when enough sites are there and those on their way had their moment. */
export function trySelect(state: Selecting, nowMs: number): Transition {
  const wait = (atMs: number): Transition => ({ state, effects: [{ kind: "set-timer", atMs }] });
  if (nowMs < state.notBeforeMs) return wait(state.notBeforeMs);
  const cohort = cohortOf(state);
  if (cohort === undefined) {
    const missing = missingIn(state);
    if (missing === "") return { state, effects: [] };
    return nowMs < patienceEndMs(state) ? wait(patienceEndMs(state)) : giveUpWaiting(state, missing);
  }
  const settleAtMs = settleEndMs(state, cohort);
  if (nowMs < settleAtMs) return wait(settleAtMs);
  return begin(state, cohort, nowMs);
}

/** The sites to begin with, of those that are there; undefined while they are too few, or accept no sum together. */
function cohortOf(state: Selecting): readonly string[] | undefined {
  return cohortAmong(state, eligibleIn(state, state.present));
}

function cohortAmong(state: Selecting, eligible: readonly string[]): readonly string[] | undefined {
  if (eligible.length < selectionFloor(state.rules)) return undefined;
  const bounds = boundsOn(state, eligible);
  const { runId, round } = state.key;
  if (bounds.unproven.length === 0) return chooseCohort(eligible, state.rules.maxSites, `${runId}/${round}`);
  return largestSafe(state, eligible);
}

/** A smaller cohort needs fewer signatures, so each size is asked for by itself. */
function largestSafe(state: Selecting, eligible: readonly string[]): readonly string[] | undefined {
  const bounds = boundsOn(state, eligible);
  for (let most = Math.min(eligible.length, state.rules.maxSites); most > 0; most--) {
    const { fewest, colluders } = sumSize(state, most);
    const cohort = safeSites(eligible, bounds, { fewest, most, colluders });
    if (cohort !== undefined) return cohort;
  }
  return undefined;
}

/** What the sites that are there lack to accept a sum together, in words; "" where no lost attempt is in the way. */
export function missingIn(state: Selecting): string {
  const eligible = eligibleIn(state, state.present);
  return whatIsMissing(state, eligible, sumSize(state, eligible.length));
}

/** Until when sites that are not there are worth waiting for; longer where the sum would be the poorer for it. */
function settleEndMs(state: Selecting, cohort: readonly string[]): number {
  const awaited = eligibleIn(state, state.awaited);
  const { unproven } = boundsOn(state, eligibleIn(state, state.present));
  if (unproven.length === 0) return awaited.length === 0 ? 0 : state.settleAtMs;
  const isWhole = unproven.some(
    ({ survivors }) => survivors.length > 0 && survivors.every((site) => cohort.includes(site)),
  );
  const isAwaited = unproven.some(({ advertisers }) => advertisers.some((site) => awaited.includes(site)));
  if (isWhole || !isAwaited) return 0;
  return Math.max(state.settleAtMs, state.notBeforeMs + state.rules.recoveryGraceMs);
}

/** How long a round waits for the sites of a lost attempt: as long as it would for their training. */
function patienceEndMs({ rules, ...state }: Selecting): number {
  return Math.max(state.stageStartedAtMs, state.notBeforeMs, state.settleAtMs) + rules.trainingWindowMs;
}

/** A site that sits out for its slowness is better than no round: where the others do not suffice, it may take part. */
export function eligibleIn(state: Selecting, present: readonly string[]): string[] {
  const { rules, excluded } = state;
  const among = (sites: readonly string[], leftOut: readonly string[]) => {
    return eligibleSites({ present: sites, allowed: rules.allowedSites, excluded: new Set(leftOut) });
  };
  const all = Object.keys(excluded);
  const kept = all.filter((site) => excluded[site]!.untilRound === undefined);
  const suffices = kept.length === all.length || cohortAmong(state, among(state.present, all)) !== undefined;
  return among(present, suffices ? all : kept);
}

function begin(state: Selecting, cohort: readonly string[], nowMs: number): Transition {
  const { key, rules, roundStartedAtMs, failures, excluded, aborts, lostAttempts, conduct, watched } = state;
  const training: Training = {
    kind: "training",
    ...{ key, rules, roundStartedAtMs, failures, excluded, aborts, lostAttempts, conduct, watched },
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
