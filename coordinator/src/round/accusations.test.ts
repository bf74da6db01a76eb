import { describe, expect, it } from "vitest";
import type { Conduct } from "./conduct.js";
import type { Member, RoundEvent, RoundState, SiteStatus, Uploading } from "./state.js";
import { transition } from "./transition.js";

const sites = ["a", "b", "c", "d", "e"];
const member = (status: SiteStatus): Member => ({ status, stepsDone: 2, uploadedBytes: 0, detachedAtMs: null });

function uploading({ colluders = 0, conduct = {} }: { colluders?: number; conduct?: Record<string, Conduct> } = {}) {
  const state: Uploading = {
    kind: "uploading",
    key: { runId: "run", round: 1, attempt: 1 },
    rules: {
      ...{ minSites: 3, maxSites: 10, colluders, allowedSites: null, trainingWindowMs: 10_000, stageWindowMs: 1_000 },
      ...{ graceMs: 100, recoveryGraceMs: 500, maxFailures: 5, collapse: null },
    },
    ...{
      roundStartedAtMs: 0,
      stageStartedAtMs: 0,
      failures: 0,
      excluded: {},
      conduct,
      aborts: [],
      lostAttempts: [],
      watched: [],
    },
    members: Object.fromEntries(sites.map((site) => [site, member({ kind: "shared" })])),
    ...{ deadlineMs: 1_000, advertisers: sites, sharers: sites },
  };
  return state;
}

const accuses = (siteId: string, accused: string): RoundEvent => {
  return { kind: "site-failed", siteId, reason: "training-failed", code: "share-invalid", accused };
};
const uploaded = (...done: string[]): RoundEvent[] => done.map((siteId) => ({ kind: "uploaded", siteId, bytes: 8 }));

function feed(start: RoundState, events: readonly RoundEvent[]) {
  let state = start;
  const effects = [];
  for (const event of events) {
    const next = transition(state, event, 0);
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
}

const oneFault = { faults: 1, stalls: 0, overruns: 0 };

describe("a site that deals shares which do not open", () => {
  it("is left out once two sites say so, who count no fault", () => {
    const { state, effects } = feed(uploading(), [accuses("b", "a"), accuses("c", "a"), ...uploaded("a", "d", "e")]);
    expect(state).toMatchObject({ kind: "confirming", survivors: ["a", "d", "e"], conduct: {} });
    expect(state.excluded).toEqual({ a: { reason: "bad-share", detail: "2 sites could not open its shares" } });
    expect(effects).toContainEqual({ kind: "site-dropped", siteId: "a", reason: "bad-share" });
  });

  it("is left out of the next attempt when it has cost this one", () => {
    const { state } = feed(uploading(), [accuses("b", "a"), accuses("c", "a"), accuses("d", "a")]);
    expect(state).toMatchObject({ kind: "aborted", next: { kind: "retry" }, conduct: {} });
    expect(Object.keys(state.excluded)).toEqual(["a"]);
  });

  it("counts a fault with the site that accuses it, where one does", () => {
    const { state } = feed(uploading(), [accuses("b", "a"), ...uploaded("a", "c", "d", "e")]);
    expect(state).toMatchObject({ kind: "confirming", conduct: { a: oneFault, b: oneFault }, excluded: {} });
    const before = { a: { faults: 2, stalls: 0, overruns: 0 }, b: oneFault };
    const again = feed(uploading({ conduct: before }), [accuses("b", "a"), ...uploaded("a", "c", "d", "e")]);
    expect(again.state.excluded).toEqual({ a: { reason: "bad-share", detail: "3 times" } });
  });

  it("is accused by more than all colluders before it is believed", () => {
    const { state } = feed(uploading({ colluders: 2 }), [
      accuses("b", "a"),
      accuses("c", "a"),
      ...uploaded("a", "d", "e"),
    ]);
    expect(state).toMatchObject({ conduct: { a: oneFault, b: oneFault, c: oneFault }, excluded: {} });
  });

  it("is not named by itself, by a site twice, or by and for a site that did not share", () => {
    const few = { ...uploading(), sharers: ["a", "b", "c", "d"] };
    const events = [accuses("a", "a"), accuses("b", "e"), accuses("b", "a"), accuses("e", "a"), ...uploaded("c", "d")];
    expect(feed(few, events).state).toMatchObject({ kind: "aborted", conduct: {}, excluded: {} });
  });
});
