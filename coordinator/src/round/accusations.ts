import { withFaults } from "./conduct.js";
import type { Effect, Exclusion, RoundEvent, RunningState, StageState, Uploading } from "./state.js";

/**
 * A sealed share that does not open stops only the site that it was for, and only that site can tell: the coordinator has
 * one's word against the other's. Names are therefore collected while sites upload, and weighed when they are done.
 */

/** The accusation in a site's report, where it is one that a sharer can make of another. */
export function accusationIn(
  state: RunningState,
  { siteId, accused }: Extract<RoundEvent, { kind: "site-failed" }>,
): { readonly accused?: string } {
  if (accused === undefined || accused === siteId || state.kind !== "uploading") return {};
  return [siteId, accused].every((site) => state.sharers.includes(site)) ? { accused } : {};
}

/** More than all colluders together, and never one alone. */
export function accusersNeeded(colluders: number): number {
  return Math.max(2, colluders + 1);
}

/**
 * Once a stage of uploads is over: whoever enough sites accuse is left out of the run. Below that either side may lie, so
 * accuser and accused each count a fault.
 */
export function weighAccusations(state: StageState): { readonly state: StageState; readonly effects: Effect[] } {
  if (state.kind !== "uploading") return { state, effects: [] };
  let weighed = state;
  const effects: Effect[] = [];
  for (const [accused, accusers] of accusationsOf(state)) {
    if (accusers.length < accusersNeeded(state.rules.colluders)) {
      weighed = withFaults(weighed, [accused, ...accusers], "bad-share");
      continue;
    }
    const exclusion: Exclusion = { reason: "bad-share", detail: `${accusers.length} sites could not open its shares` };
    weighed = { ...weighed, excluded: { ...weighed.excluded, [accused]: exclusion } };
    effects.push({ kind: "site-dropped", siteId: accused, reason: "bad-share" });
  }
  return { state: weighed, effects };
}

function accusationsOf({ members }: Uploading): Map<string, string[]> {
  const accusers = new Map<string, string[]>();
  for (const [siteId, { status }] of Object.entries(members)) {
    if (status.kind !== "failed" || status.accused === undefined) continue;
    accusers.set(status.accused, [...(accusers.get(status.accused) ?? []), siteId]);
  }
  return accusers;
}
