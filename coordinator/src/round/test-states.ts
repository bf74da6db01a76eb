import type { AttemptRules, Effect, RoundEvent, RoundState, Selecting } from "./state.js";
import { transition } from "./transition.js";

/** For tests: attempts of four sites in every state, made by the transitions themselves. */

export const rules: AttemptRules = {
  minSites: 3,
  maxSites: 10,
  colluders: 0,
  allowedSites: null,
  trainingWindowMs: 10_000,
  stageWindowMs: 1_000,
  graceMs: 100,
  recoveryGraceMs: 500,
  maxFailures: 5,
  collapse: null,
};

export function selecting(change: Partial<Selecting> = {}): Selecting {
  return {
    kind: "selecting",
    lost: {},
    key: { runId: "run", round: 1, attempt: 1 },
    rules,
    roundStartedAtMs: 0,
    stageStartedAtMs: 0,
    failures: 0,
    excluded: {},
    conduct: {},
    aborts: [],
    lostAttempts: [],
    watched: [],
    present: [],
    awaited: [],
    settleAtMs: 0,
    notBeforeMs: 0,
    ...change,
  };
}

export const tick: RoundEvent = { kind: "deadline-ticked" };
type SiteEventKind = "site-attached" | "site-detached" | "adverted" | "shared" | "confirmed" | "revealed";
export const each = (kind: SiteEventKind, ...sites: string[]): RoundEvent[] =>
  sites.map((siteId) => (kind === "adverted" ? { kind, siteId, aborts: [] } : { kind, siteId }));
export const uploads = (...sites: string[]): RoundEvent[] =>
  sites.map((siteId) => ({ kind: "uploaded", siteId, bytes: 8 }));
export const kinds = (effects: readonly Effect[]) => effects.map((effect) => effect.kind);

/** Feeds events one after the other at one time; the effects are those of the last. */
export function feed(start: RoundState, events: readonly RoundEvent[], nowMs = 0) {
  let state = start;
  let effects: readonly Effect[] = [];
  for (const event of events) ({ state, effects } = transition(state, event, nowMs));
  return { state, effects };
}

export function training(sites = ["a", "b", "c", "d"], change: Partial<Selecting> = {}): RoundState {
  return feed(selecting({ present: sites, ...change }), [tick]).state;
}
export const sharing = (sites?: string[]) => feed(training(sites), each("adverted", "a", "b", "c", "d")).state;
export const uploading = () => feed(sharing(), each("shared", "a", "b", "c", "d")).state;
export const confirming = () => feed(uploading(), uploads("a", "b", "c", "d")).state;
export const unmasking = () => feed(confirming(), each("confirmed", "a", "b", "c", "d")).state;
export const aggregating = () => feed(unmasking(), each("revealed", "a", "b", "c", "d")).state;

export const aggregate = {
  checkpointDigest: "ff",
  sumDigest: "50",
  advertisers: 3,
  loss: 1,
  weight: 9,
  steps: 3,
  clipped: 0,
  deltaNorm: 0.5,
  figures: {},
};
