import type { DropReason } from "@consilium/shared/protocol.js";
import type { Aggregating, Exclusion, RoundState, RunningState, StageState, Transition } from "./state.js";

/** What a site has done wrong in a run so far. */
export interface Conduct {
  /** Messages that no honest site with a sound disk and the right version sends. */
  readonly faults: number;
  /** Stages after training, in a row, that waited for the site until their deadline although it was attached. */
  readonly stalls: number;
}

/** So often one site may cost its attempts before the run goes on without it. */
export const mostFaults = 3;
export const mostStalls = 3;

const none: Conduct = { faults: 0, stalls: 0 };
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
    const counts = conduct[siteId] ?? none;
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
    const { faults: counted, stalls } = conduct[siteId] ?? none;
    conduct[siteId] = { faults: counted, stalls: stalls + 1 };
    excluded = excluding(excluded, siteId, { reason: "deadline", count: stalls + 1, most: mostStalls });
  }
  return { ...state, conduct, excluded };
}

/** A site that was there to the end of a committed round starts anew with its stalls, not with its faults. */
export function forgiveStalls({ conduct, members }: Aggregating): Readonly<Record<string, Conduct>> {
  const stayed = (siteId: string) => members[siteId]?.status.kind === "unmasked";
  return Object.fromEntries(
    Object.entries(conduct).map(([siteId, counts]) => [siteId, stayed(siteId) ? { ...counts, stalls: 0 } : counts]),
  );
}

function excluding(
  excluded: Readonly<Record<string, Exclusion>>,
  siteId: string,
  { reason, count, most }: { readonly reason: DropReason; readonly count: number; readonly most: number },
): Readonly<Record<string, Exclusion>> {
  return count < most ? excluded : { ...excluded, [siteId]: { reason, detail: `${count} times` } };
}
