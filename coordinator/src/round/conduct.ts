import type { DropReason } from "@consilium/shared/protocol.js";
import type { Aggregating, Exclusion, RoundState, RunningState, StageState, Training, Transition } from "./state.js";

/** What a site has done wrong in a run so far. */
export interface Conduct {
  /** Messages that no honest site with a sound disk and the right version sends. */
  readonly faults: number;
  /** Stages after training, in a row, that waited for the site until their deadline although it was attached. */
  readonly stalls: number;
  /** Training stages that waited for the site until their deadline, less the rounds that it saw to the end since. */
  readonly overruns: number;
}

/** So often one site may cost its attempts before the run goes on without it. */
export const mostFaults = 3;
export const mostStalls = 3;
export const mostOverruns = 2;
/** log2 of the most rounds that a site sits out at a time. */
const longestRest = 10;

const none: Conduct = { faults: 0, stalls: 0, overruns: 0 };

/** An older version stored fewer counts. */
const countsOf = (conduct: RoundState["conduct"], siteId: string): Conduct => ({ ...none, ...conduct[siteId] });
const faults: ReadonlySet<DropReason> = new Set(["wrong-length", "bad-signature", "bad-share", "bad-message"] as const);

/** The transition that dropped a site, with the fault counted if it is one, and the site excluded if it is one too many. */
export function withFault(
  dropped: Transition,
  before: RunningState,
  { siteId, reason }: { readonly siteId: string; readonly reason: DropReason },
): Transition {
  // Unchanged: the site was out already, and is not counted twice.
  if (dropped.state === before || !faults.has(reason)) return dropped;
  return { ...dropped, state: withFaults(dropped.state, [siteId], reason) };
}

/** The state with one more fault of each of these sites, which leaves out those that have one too many. */
export function withFaults<State extends RoundState>(
  state: State,
  sites: readonly string[],
  reason: DropReason,
): State {
  const conduct = { ...state.conduct };
  let { excluded } = state;
  for (const siteId of sites) {
    const counts = countsOf(conduct, siteId);
    conduct[siteId] = { ...counts, faults: counts.faults + 1 };
    excluded = excluding(excluded, siteId, { reason, count: counts.faults + 1, most: mostFaults });
  }
  return { ...state, conduct, excluded };
}

/** The state with one more stall of each of these sites, unless they are half of those awaited: then the stage was too short. */
export function withStalls<State extends StageState>(
  state: State,
  { late, done }: { readonly late: readonly string[]; readonly done: readonly string[] },
): State {
  if (late.length >= done.length) return state;
  const conduct = { ...state.conduct };
  let { excluded } = state;
  for (const siteId of late) {
    const counts = countsOf(conduct, siteId);
    conduct[siteId] = { ...counts, stalls: counts.stalls + 1 };
    excluded = excluding(excluded, siteId, { reason: "deadline", count: counts.stalls + 1, most: mostStalls });
  }
  return { ...state, conduct, excluded };
}

/**
 * The state with one more overrun of each of these sites that the training stage waited for through half of its window or
 * more, unless they are half of those awaited. From the second on the site sits out the next round, then two, then four:
 * attaching anew costs nothing, so it shortens no rest; a site that was only slow is asked again by itself.
 */
export function withOverruns(
  state: Training,
  { late, done }: { readonly late: readonly string[]; readonly done: readonly string[] },
  nowMs: number,
): Training {
  if (late.length >= done.length) return state;
  const conduct = { ...state.conduct };
  const excluded = { ...state.excluded };
  for (const siteId of late) {
    const thereUntilMs = state.members[siteId]!.detachedAtMs ?? nowMs;
    if (thereUntilMs - state.stageStartedAtMs < state.rules.trainingWindowMs / 2) continue;
    const counts = countsOf(conduct, siteId);
    const overruns = counts.overruns + 1;
    conduct[siteId] = { ...counts, overruns };
    if (overruns < mostOverruns) continue;
    const untilRound = state.key.round + 1 + 2 ** Math.min(overruns - mostOverruns, longestRest);
    excluded[siteId] = { reason: "deadline", detail: `asked again in round ${untilRound}`, untilRound };
  }
  return { ...state, conduct, excluded };
}

/** Without those whose rest is over by this round. */
export function rested(
  excluded: Readonly<Record<string, Exclusion>>,
  round: number,
): Readonly<Record<string, Exclusion>> {
  const rests = ({ untilRound }: Exclusion) => untilRound === undefined || round < untilRound;
  return Object.fromEntries(Object.entries(excluded).filter(([, exclusion]) => rests(exclusion)));
}

/** Of a site that was there to the end of a committed round, stalls are forgiven, one overrun, and no fault. */
export function forgive({ conduct, members }: Aggregating): Readonly<Record<string, Conduct>> {
  const stayed = (siteId: string) => members[siteId]?.status.kind === "unmasked";
  const forgiven = ({ faults: kept, overruns }: Conduct) => {
    return { faults: kept, stalls: 0, overruns: Math.max(0, overruns - 1) };
  };
  return Object.fromEntries(
    Object.keys(conduct).map((siteId) => {
      const counts = countsOf(conduct, siteId);
      return [siteId, stayed(siteId) ? forgiven(counts) : counts];
    }),
  );
}

function excluding(
  excluded: Readonly<Record<string, Exclusion>>,
  siteId: string,
  { reason, count, most }: { readonly reason: DropReason; readonly count: number; readonly most: number },
): Readonly<Record<string, Exclusion>> {
  return count < most ? excluded : { ...excluded, [siteId]: { reason, detail: `${count} times` } };
}
