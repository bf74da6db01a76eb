import type { DropReason } from "@consilium/shared/protocol.js";
import type { StageName } from "../store/run-store.js";
import { admit } from "./admission.js";
import { boundsOn, learnFromAdvert } from "./lost-attempts.js";
import { newMember, readmit, withRefusal } from "./selecting.js";
import {
  hasDeadline,
  isOut,
  type Member,
  type RoundEvent,
  type RunningState,
  type SiteStatus,
  type StoredAbort,
  type Training,
  type Transition,
} from "./state.js";

/** What the sites' own doings change in a running attempt. Whether a stage closes is decided afterwards. */

const unchanged = (state: RunningState): Transition => ({ state, effects: [] });

export function withMember<State extends RunningState>(
  state: State,
  siteId: string,
  change: (member: Member) => Member,
): State {
  const member = state.members[siteId];
  if (member === undefined) return state;
  return { ...state, members: { ...state.members, [siteId]: change(member) } };
}

/**
 * A member is back, or a new site came. A new one may still join while nobody has finished training and the stage is
 * young, so that a site that starts a moment late does not idle through a long round.
 */
export function attach(state: RunningState, siteId: string, nowMs: number): Transition {
  const back = { ...state, excluded: readmit(state.excluded, siteId) };
  if (state.members[siteId] !== undefined) {
    return unchanged(withMember(back, siteId, (member) => ({ ...member, detachedAtMs: null })));
  }
  if (back.kind !== "training" || !mayJoin(back, siteId, nowMs)) return unchanged(back);
  const members = { ...back.members, [siteId]: newMember() };
  return { state: { ...back, members }, effects: [{ kind: "offer-plan", sites: [siteId] }] };
}

function mayJoin(state: Training, siteId: string, nowMs: number): boolean {
  const { rules, members } = state;
  return (
    (rules.allowedSites?.includes(siteId) ?? true) &&
    state.excluded[siteId] === undefined &&
    Object.keys(members).length < rules.maxSites &&
    Object.values(members).every((member) => member.status.kind !== "ready") &&
    nowMs - state.stageStartedAtMs <= rules.trainingWindowMs / 4 &&
    // The cohort was chosen to differ enough from a lost one, or not at all.
    boundsOn(state, Object.keys(members)).unproven.length === 0
  );
}

export function detach(state: RunningState, siteId: string, nowMs: number): Transition {
  return unchanged(withMember(state, siteId, (member) => ({ ...member, detachedAtMs: member.detachedAtMs ?? nowMs })));
}

export function reportPhase(state: RunningState, event: Extract<RoundEvent, { kind: "phase-reported" }>): Transition {
  const { siteId, phase } = event;
  if (state.kind !== "training" || admit(state, siteId, "advertise") !== "open") return unchanged(state);
  const next = withMember(state, siteId, (member) => {
    const stepsDone = Math.max(member.stepsDone, event.stepsDone);
    return { ...member, stepsDone, status: { kind: phase } };
  });
  return unchanged(next);
}

/** Also takes what the site says about earlier attempts, once. */
export function acceptAdvert(
  state: RunningState,
  { siteId, aborts }: Extract<RoundEvent, { kind: "adverted" }>,
): Transition {
  const accepted = acceptMessage(state, { siteId, stage: "advertise" }, { status: { kind: "ready" } });
  if (accepted.state === state) return accepted;
  const said = aborts.reduce(withAbort, state.aborts);
  const ofSite = said.filter((one) => one.siteId === siteId);
  const lostAttempts = learnFromAdvert(state.lostAttempts, siteId, ofSite);
  return { ...accepted, state: { ...accepted.state, aborts: said, lostAttempts } };
}

function withAbort(known: readonly StoredAbort[], said: StoredAbort): readonly StoredAbort[] {
  const isSame = (one: StoredAbort) => one.siteId === said.siteId && one.attempt === said.attempt;
  return known.some(isSame) ? known : [...known, said];
}

/** Takes a stage's message when it is open to the site; a second one changes nothing. */
export function acceptMessage(
  state: RunningState,
  { siteId, stage }: { siteId: string; stage: StageName },
  change: { readonly status: SiteStatus; readonly uploadedBytes?: number },
): Transition {
  if (admit(state, siteId, stage) !== "open") return unchanged(state);
  return unchanged(withMember(state, siteId, (member) => ({ ...member, ...change })));
}

export function refuse(state: RunningState, siteId: string, clause: string): Transition {
  const excluded = withRefusal(state.excluded, siteId, clause);
  return leave({ ...state, excluded }, siteId, { status: { kind: "refused", clause }, reason: "refused" });
}

export function leave(
  state: RunningState,
  siteId: string,
  { status, reason }: { status: SiteStatus; reason: DropReason },
): Transition {
  const member = state.members[siteId];
  // A vector that is in U3 is part of the sum, whatever becomes of its site; only its help in unmasking is lost.
  if (member === undefined || isOut(member.status) || !hasDeadline(state)) return unchanged(state);
  return {
    state: withMember(state, siteId, (current) => ({ ...current, status })),
    effects: [{ kind: "site-dropped", siteId, reason }, { kind: "answer-waiters" }],
  };
}

/** After a restart: nobody is attached, everyone gets time to come back, and no stage ends for the time lost. */
export function recover(state: RunningState, nowMs: number): Transition {
  const { graceMs, recoveryGraceMs, stageWindowMs } = state.rules;
  // Counted as if they had left later, so that the ordinary grace ends when the longer one does.
  const detachedAtMs = nowMs + recoveryGraceMs - graceMs;
  const members = Object.fromEntries(
    Object.entries(state.members).map(([site, member]) => [site, { ...member, detachedAtMs }]),
  );
  if (!hasDeadline(state)) return { state: { ...state, members }, effects: [{ kind: "start-aggregation" }] };
  const deadlineMs = Math.max(state.deadlineMs, nowMs + stageWindowMs);
  return unchanged({ ...state, members, deadlineMs });
}
