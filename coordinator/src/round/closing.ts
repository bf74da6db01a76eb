import type { DropReason } from "@consilium/shared/protocol.js";
import { weighAccusations } from "./accusations.js";
import { withOverruns, withStalls } from "./conduct.js";
import { abort } from "./ending.js";
import { judgeStage, survivorsAmong, viewStage } from "./stage.js";
import type { AbortReason, Effect, Member, Members, RunningState, StageState, Transition } from "./state.js";

/** Closes a stage when it is time, and opens the next. */

const abortReason: Record<StageState["kind"], AbortReason> = {
  training: "too-few-sites",
  sharing: "too-few-shares",
  uploading: "too-few-uploads",
  confirming: "too-few-confirmations",
  unmasking: "too-few-reveals",
};

export function tryClose(state: StageState, nowMs: number): Transition {
  const verdict = judgeStage(state, nowMs);
  switch (verdict.kind) {
    case "wait":
      return { state, effects: [{ kind: "set-timer", atMs: verdict.untilMs }] };
    case "abort":
      return afterWeighing(state, (weighed) => abort(weighed, reasonOf(weighed), nowMs));
    case "close":
      return afterWeighing(state, (weighed) => close(weighed, { ...verdict, nowMs }));
  }
}

/** Enough sites are there, and still no sum that they would all accept. */
function reasonOf(state: StageState): AbortReason {
  const { done, floor } = viewStage(state);
  return done.length >= floor ? "sites-missing" : abortReason[state.kind];
}

function afterWeighing(state: StageState, end: (weighed: StageState) => Transition): Transition {
  const weighed = weighAccusations(state);
  const ended = end(weighed.state);
  return { state: ended.state, effects: [...weighed.effects, ...ended.effects] };
}

interface Closing {
  readonly late: readonly string[];
  readonly reason: "deadline" | "detached";
  readonly nowMs: number;
}

function close(state: StageState, { late, reason, nowMs }: Closing): Transition {
  const { done } = viewStage(state);
  const left = leftOut(state, done);
  // Once the survivors are known, the late sites' vectors are in the sum, so they stay and get the result.
  const stay = state.kind === "confirming" || state.kind === "unmasking";
  const members = stay ? state.members : withDropped(withDropped(state.members, late, reason), left, "withdrawn");
  const counted = withCounts(state, { late, done }, { reason, nowMs });
  const taken = done.filter((site) => !left.includes(site));
  const next = open({ ...counted, members }, taken, nowMs);
  const dropped: Effect[] = [
    ...late.map((siteId) => ({ kind: "site-dropped" as const, siteId, reason })),
    ...left.map((siteId) => ({ kind: "site-dropped" as const, siteId, reason: "withdrawn" as const })),
  ];
  const durationMs = nowMs - state.stageStartedAtMs;
  return {
    state: next,
    effects: [
      { kind: "stage-closed", stage: state.kind, durationMs },
      ...dropped,
      ...(late.length > 0 && !stay ? [{ kind: "withdraw" as const, sites: late, reason }] : []),
      ...(left.length > 0 ? [{ kind: "withdraw" as const, sites: left, reason: "withdrawn" }] : []),
      { kind: "answer-waiters" },
      next.kind === "aggregating"
        ? { kind: "start-aggregation" }
        : { kind: "set-timer", atMs: nowMs + state.rules.stageWindowMs },
    ],
  };
}

/** What the late ones cost the others. */
function withCounts(
  state: StageState,
  sites: { readonly late: readonly string[]; readonly done: readonly string[] },
  { reason, nowMs }: Pick<Closing, "reason" | "nowMs">,
): StageState {
  if (state.kind === "training") return withOverruns(state, sites, nowMs);
  return reason === "deadline" ? withStalls(state, sites) : state;
}

function open(state: StageState, done: readonly string[], nowMs: number): RunningState {
  const times = { stageStartedAtMs: nowMs, deadlineMs: nowMs + state.rules.stageWindowMs };
  switch (state.kind) {
    case "training":
      return { ...state, ...times, kind: "sharing", advertisers: done };
    case "sharing":
      return { ...state, ...times, kind: "uploading", sharers: done };
    case "uploading":
      return { ...state, ...times, kind: "confirming", survivors: done };
    case "confirming":
      return { ...state, ...times, kind: "unmasking", signers: done };
    case "unmasking": {
      const { deadlineMs: _over, signers: _signed, ...rest } = state;
      return { ...rest, kind: "aggregating", stageStartedAtMs: nowMs };
    }
  }
}

/** Sites that uploaded, and with which the sum would differ too little from one that was lost. */
function leftOut(state: StageState, done: readonly string[]): readonly string[] {
  if (state.kind !== "uploading") return [];
  const survivors = survivorsAmong(state, done) ?? [];
  return done.filter((site) => !survivors.includes(site));
}

function withDropped(members: Members, sites: readonly string[], reason: DropReason): Members {
  const dropped = (member: Member): Member => ({ ...member, status: { kind: "dropped", reason } });
  return { ...members, ...Object.fromEntries(sites.map((site) => [site, dropped(members[site]!)])) };
}
