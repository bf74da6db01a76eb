import { abortsNeeded, fewestSites, thresholdOf } from "@consilium/shared/secagg/protocol.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Effect, isOver, type RoundEvent, type RoundState, type Selecting } from "./state.js";
import { transition } from "./transition.js";

/** Any order of anything: floors hold, nothing counts twice, and when time passes every attempt ends. */

const siteIds = ["a", "b", "c", "d", "e", "f"];
const site = fc.constantFrom(...siteIds);
const aggregate = {
  checkpointDigest: "ff",
  sumDigest: "50",
  advertisers: 3,
  loss: 1,
  weight: 1,
  steps: 1,
  clipped: 0,
  deltaNorm: 1,
  figures: {},
};

/** Says about some of the lost attempts that it gave them up. */
const adverted = fc.record({ siteId: site, about: fc.subarray([1, 2]) }).map(({ siteId, about }) => {
  const aborts = about.map((attempt) => ({ siteId, attempt, signature: "" }));
  return { kind: "adverted" as const, siteId, aborts };
});

const event: fc.Arbitrary<RoundEvent> = fc.oneof(
  { weight: 4, arbitrary: adverted },
  { weight: 12, arbitrary: fc.record({ kind: fc.constantFrom("shared", "confirmed", "revealed"), siteId: site }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("uploaded"), siteId: site, bytes: fc.nat(100) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("site-attached", "site-detached"), siteId: site }) },
  fc.record({
    kind: fc.constant("phase-reported"),
    siteId: site,
    phase: fc.constantFrom("fetching", "training", "masking"),
    stepsDone: fc.nat(10),
  }),
  fc.record({ kind: fc.constant("refused"), siteId: site, clause: fc.constant("clause") }),
  fc.record({
    kind: fc.constant("site-failed"),
    siteId: site,
    reason: fc.constant("not-finite"),
    code: fc.constant("x"),
  }),
  fc.record({ kind: fc.constant("site-dropped"), siteId: site, reason: fc.constant("bad-message") }),
  fc.constant({ kind: "deadline-ticked" } as const),
  fc.constant({ kind: "recovered" } as const),
  fc.constant({ kind: "aggregated", aggregate, blamed: [] } as const),
);

const step = fc.record({ event, waitMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(400)) });
const setting = fc.record({
  minSites: fc.integer({ min: 2, max: 5 }),
  colluders: fc.integer({ min: 0, max: 2 }),
  failures: fc.nat(4),
  lost: fc.array(fc.record({ survivors: fc.subarray(siteIds), confirmed: fc.subarray(siteIds) }), { maxLength: 2 }),
});
type Setting = typeof setting extends fc.Arbitrary<infer One> ? One : never;

function begin({ minSites, colluders, failures, lost }: Setting): Selecting {
  return {
    kind: "selecting",
    lost: {},
    key: { runId: "run", round: 1, attempt: 3 },
    rules: {
      minSites: Math.max(minSites, colluders + 2),
      maxSites: 5,
      colluders,
      allowedSites: null,
      trainingWindowMs: 2_000,
      stageWindowMs: 500,
      graceMs: 50,
      recoveryGraceMs: 200,
      maxFailures: 5,
      collapse: null,
    },
    roundStartedAtMs: 0,
    stageStartedAtMs: 0,
    failures,
    excluded: {},
    conduct: {},
    aborts: [],
    lostAttempts: lost.map(({ survivors, confirmed }, i) => ({
      ...{ attempt: i + 1, advertisers: siteIds, sharers: siteIds, survivors },
      confirmed: confirmed.filter((one) => survivors.includes(one)),
    })),
    watched: [],
    present: siteIds.slice(0, 4),
    awaited: siteIds.slice(4),
    settleAtMs: 0,
    notBeforeMs: 0,
  };
}

const order = [
  ...["selecting", "training", "sharing", "uploading", "confirming", "unmasking"],
  ...["aggregating", "committed", "aborted"],
];

function holdInvariants(before: RoundState, after: RoundState, effects: readonly Effect[]): void {
  expect(order.indexOf(after.kind)).toBeGreaterThanOrEqual(order.indexOf(before.kind));
  if ("advertisers" in after) {
    const { minSites, colluders } = after.rules;
    const threshold = thresholdOf(after.advertisers.length, colluders);
    expect(after.advertisers.length).toBeGreaterThanOrEqual(Math.max(fewestSites, minSites));
    if ("sharers" in after) {
      expect(after.sharers.length).toBeGreaterThanOrEqual(Math.max(threshold, minSites));
      expect(after.advertisers).toEqual(expect.arrayContaining([...after.sharers]));
    }
    if ("survivors" in after) {
      expect(after.survivors.length).toBeGreaterThanOrEqual(Math.max(threshold, minSites));
      if (before.kind === "uploading") expect(sitesAccept(after)).toBe(true);
      if ("signers" in after) expect(after.signers.length).toBeGreaterThanOrEqual(threshold);
    }
  }
  // Once fixed, a list never changes: it has been shown to sites.
  for (const list of ["advertisers", "sharers", "survivors", "signers"] as const) {
    if (list in before && list in after) expect(Reflect.get(after, list)).toEqual(Reflect.get(before, list));
  }
  if (after.kind === "committed" && "survivors" in before) expect(after.survivors).toEqual(before.survivors);
  const ends = effects.filter(({ kind }) =>
    ["round-committed", "next-attempt", "pause-run", "stop-run"].includes(kind),
  );
  expect(ends).toHaveLength(isOver(after) && !isOver(before) ? 1 : 0);
}

/** As each site checks it: what nothing proves to be over limits whom the sum may be over. */
function sitesAccept({
  lostAttempts,
  aborts,
  rules: { colluders },
  survivors,
}: RoundState & { survivors: readonly string[] }) {
  return lostAttempts.every((lost) => {
    const gaveUp = siteIds.filter((one) =>
      aborts.some(({ siteId, attempt }) => siteId === one && attempt === lost.attempt),
    );
    if (gaveUp.length >= abortsNeeded(siteIds.length, colluders)) return true;
    if (survivors.some((one) => gaveUp.includes(one) || !lost.survivors.includes(one))) {
      // Everyone uploaded in these lost attempts, so whoever gave one up, or was not among its survivors, refuses.
      return false;
    }
    const changed = lost.survivors.length - survivors.length;
    return changed === 0 || changed >= colluders + 2;
  });
}

/** Lets time pass as the driver's timer would, and lets aggregation end. */
function runOut(start: RoundState, fromMs: number): RoundState {
  let state = start;
  let nowMs = fromMs;
  for (let i = 0; i < 20 && !isOver(state); i++) {
    nowMs += 5_000;
    const last: RoundEvent =
      state.kind === "aggregating" ? { kind: "aggregated", aggregate, blamed: [] } : { kind: "deadline-ticked" };
    const next = transition(state, last, nowMs);
    holdInvariants(state, next.state, next.effects);
    state = next.state;
  }
  return state;
}

describe("transition() under any order of events", () => {
  it("keeps the floors, counts nothing twice, and ends", () => {
    fc.assert(
      fc.property(setting, fc.array(step, { maxLength: 120 }), (how, steps) => {
        let state: RoundState = begin(how);
        let nowMs = 0;
        for (const { event: next, waitMs } of steps) {
          nowMs += waitMs;
          const result = transition(state, next, nowMs);
          holdInvariants(state, result.state, result.effects);
          state = result.state;
        }
        const ended = runOut(state, nowMs);
        // Selecting may wait for sites for ever; everything after it ends.
        expect(isOver(ended) || ended.kind === "selecting").toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it("takes a site's message at most once in each stage", () => {
    fc.assert(
      fc.property(setting, fc.array(step, { maxLength: 120 }), (how, steps) => {
        let state: RoundState = begin(how);
        let nowMs = 0;
        const taken = new Set<string>();
        for (const { event: next, waitMs } of steps) {
          nowMs += waitMs;
          const before = state;
          state = transition(state, next, nowMs).state;
          const marks = {
            ...{ adverted: "ready", shared: "shared", uploaded: "uploaded" },
            ...{ confirmed: "confirmed", revealed: "unmasked" },
          } as const;
          if (!(next.kind in marks) || !("siteId" in next)) continue;
          const statusIn = (of: RoundState) => ("members" in of ? of.members[next.siteId]?.status.kind : undefined);
          const mark = marks[next.kind as keyof typeof marks];
          if (statusIn(before) === mark || statusIn(state) !== mark) continue;
          expect(taken.has(`${next.kind} ${next.siteId}`)).toBe(false);
          taken.add(`${next.kind} ${next.siteId}`);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is a function of what is stored: a state read back from JSON goes on alike", () => {
    fc.assert(
      fc.property(setting, fc.array(step, { maxLength: 60 }), (how, steps) => {
        let state: RoundState = begin(how);
        let nowMs = 0;
        for (const { event: next, waitMs } of steps) {
          nowMs += waitMs;
          const stored: RoundState = JSON.parse(JSON.stringify(state));
          const result = transition(state, next, nowMs);
          expect(transition(stored, next, nowMs)).toEqual(result);
          state = result.state;
        }
      }),
      { numRuns: 100 },
    );
  });
});
