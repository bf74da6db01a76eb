import { describe, expect, it } from "vitest";
import type { RoundEvent, RoundState } from "./state.js";
import {
  aggregate,
  aggregating,
  confirming,
  each,
  feed,
  kinds,
  rules,
  selecting,
  sharing,
  tick,
  training,
  unmasking,
  uploading,
  uploads,
} from "./test-states.js";
import { transition } from "./transition.js";

describe("selecting", () => {
  it("waits for the floor, then offers the plan", () => {
    const waiting = feed(selecting(), each("site-attached", "b", "a"));
    expect(waiting.state.kind).toBe("selecting");
    const { state, effects } = feed(waiting.state, each("site-attached", "c"), 7);
    expect(state).toMatchObject({ kind: "training", deadlineMs: 10_007 });
    expect(effects[0]).toEqual({ kind: "offer-plan", sites: ["a", "b", "c"] });
  });

  it("gives enrolled sites a moment to arrive, but not for ever", () => {
    const start = selecting({ present: ["a", "b", "c"], awaited: ["d"], settleAtMs: 50 });
    expect(transition(start, tick, 10).effects).toEqual([{ kind: "set-timer", atMs: 50 }]);
    expect(transition(start, tick, 50).state.kind).toBe("training");
    expect(feed(start, each("site-attached", "d"), 10).effects[0]).toMatchObject({ sites: ["a", "b", "c", "d"] });
  });

  it("asks only sites that the run allows and that it is not better off without", () => {
    const excluded = {
      e: { reason: "bad-share" as const, detail: "" },
      d: { reason: "refused" as const, detail: "x" },
    };
    const start = selecting({ rules: { ...rules, allowedSites: ["a", "b", "d", "e"] }, excluded });
    const { state } = feed(start, each("site-attached", "a", "b", "c", "e"));
    expect(state.kind).toBe("selecting");
    // A site that refused has been restarted, perhaps with another policy.
    expect(feed(state, each("site-attached", "d")).effects[0]).toMatchObject({ sites: ["a", "b", "d"] });
  });

  it("takes at most maxSites, alike every time", () => {
    const present = Array.from({ length: 20 }, (_, i) => `s${i}`);
    const chosen = transition(selecting({ present }), tick, 0).effects[0];
    expect(chosen).toMatchObject({ sites: { length: 10 } });
    expect(transition(selecting({ present: present.reverse() }), tick, 0).effects[0]).toEqual(chosen);
  });

  it("forgets detached and revoked sites, and starts anew after a restart", () => {
    const start = selecting({ present: ["a", "b"], rules });
    expect(feed(start, each("site-detached", "a")).state).toMatchObject({ present: ["b"], awaited: ["a"] });
    const revoked: RoundEvent = { kind: "site-dropped", siteId: "a", reason: "revoked" };
    expect(feed(start, [revoked]).state).toMatchObject({ present: ["b"], awaited: [] });
    const recovered = feed(start, [{ kind: "recovered" }], 10).state;
    expect(recovered).toMatchObject({ present: [], awaited: ["a", "b"], settleAtMs: 510 });
  });
});

describe("training", () => {
  it("closes as soon as everyone has advertised", () => {
    const { state, effects } = feed(training(), each("adverted", "d", "c", "b", "a"), 5);
    expect(state).toMatchObject({ kind: "sharing", advertisers: ["a", "b", "c", "d"], deadlineMs: 1005 });
    expect(kinds(effects)).toEqual(["stage-closed", "answer-waiters", "set-timer"]);
  });

  it("closes at its deadline with those who are ready", () => {
    const ready = feed(training(), each("adverted", "a", "b", "c"), 5).state;
    expect(transition(ready, tick, 9_999).state).toBe(ready);
    const { state, effects } = transition(ready, tick, 10_000);
    expect(state).toMatchObject({ kind: "sharing", advertisers: ["a", "b", "c"] });
    expect(effects).toContainEqual({ kind: "withdraw", sites: ["d"], reason: "deadline" });
    expect(effects).toContainEqual({ kind: "site-dropped", siteId: "d", reason: "deadline" });
  });

  it("begins another attempt, and never ends the run, when too few are ready at the deadline", () => {
    const ready = feed(training(), each("adverted", "a", "b"), 5).state;
    const { state, effects } = transition(ready, tick, 10_000);
    expect(state).toMatchObject({ kind: "aborted", failures: 0, next: { kind: "retry", notBeforeMs: 11_000 } });
    expect(kinds(effects)).toEqual(["answer-waiters", "next-attempt"]);
  });

  it("does not wait a whole deadline for a site that is gone, and welcomes it back", () => {
    const lost = feed(training(), [...each("site-detached", "d"), ...each("adverted", "a", "b", "c")], 50);
    expect(lost.state.kind).toBe("training");
    expect(lost.effects).toContainEqual({ kind: "set-timer", atMs: 150 });
    const back = feed(lost.state, each("site-attached", "d"), 100).state;
    expect(transition(back, tick, 150).state.kind).toBe("training");
    const closed = transition(lost.state, tick, 150);
    expect(closed.state).toMatchObject({ kind: "sharing", advertisers: ["a", "b", "c"] });
    expect(closed.effects).toContainEqual({ kind: "site-dropped", siteId: "d", reason: "detached" });
  });

  it("waits for a lost site while the floor is not reached", () => {
    const lost = feed(training(["a", "b", "c"]), [...each("site-detached", "c"), ...each("adverted", "a", "b")], 50);
    expect(transition(lost.state, tick, 9_000).state.kind).toBe("training");
  });

  it("shows progress, lets a late site join, and leaves out one that refuses", () => {
    const report: RoundEvent = { kind: "phase-reported", siteId: "a", phase: "training", stepsDone: 4 };
    const joined = feed(training(), [report, ...each("site-attached", "e")], 100);
    expect(joined.effects[0]).toEqual({ kind: "offer-plan", sites: ["e"] });
    const { state } = feed(joined.state, [{ kind: "refused", siteId: "e", clause: "max_rounds" }], 101);
    expect(state).toMatchObject({
      members: { a: { status: { kind: "training" }, stepsDone: 4 }, e: { status: { kind: "refused" } } },
      excluded: { e: { reason: "refused", detail: "max_rounds" } },
    });
    expect(feed(state, each("adverted", "a", "b", "c", "d"), 102).state.kind).toBe("sharing");
  });

  it("does not let a site join late once another has finished, or the stage is old", () => {
    const ready = feed(training(), each("adverted", "a"), 100).state;
    expect(feed(ready, each("site-attached", "e"), 100).state).toEqual(ready);
    expect(kinds(feed(training(), each("site-attached", "e"), 2_501).effects)).not.toContain("offer-plan");
  });

  it("ends at once when the floor cannot be reached", () => {
    const failed: RoundEvent = { kind: "site-failed", siteId: "a", reason: "not-finite", code: "not-finite" };
    const { state } = feed(training(["a", "b", "c"]), [failed], 5);
    expect(state).toMatchObject({ kind: "aborted", reason: "too-few-sites", next: { kind: "retry" } });
  });

  it("takes one message of each site, whatever comes again", () => {
    const once = feed(training(), each("adverted", "a"), 5).state;
    const report: RoundEvent = { kind: "phase-reported", siteId: "a", phase: "training", stepsDone: 9 };
    expect(feed(once, [...each("adverted", "a", "zz"), ...each("shared", "a"), report], 6).state).toEqual(once);
  });
});

describe("masking stages", () => {
  it("shares, uploads, unmasks and aggregates in order", () => {
    expect(uploading()).toMatchObject({ kind: "uploading", sharers: ["a", "b", "c", "d"] });
    expect(confirming()).toMatchObject({ kind: "confirming", survivors: ["a", "b", "c", "d"] });
    const signers = ["a", "b", "c", "d"];
    expect(unmasking()).toMatchObject({ kind: "unmasking", survivors: signers, signers });
    const { state, effects } = feed(unmasking(), each("revealed", "a", "b", "c", "d"));
    expect(state.kind).toBe("aggregating");
    expect(effects.at(-1)).toEqual({ kind: "start-aggregation" });
  });

  it("goes on without a site that is late in any stage", () => {
    const shared = transition(feed(sharing(), each("shared", "a", "b", "c")).state, tick, 1_000).state;
    expect(shared).toMatchObject({ kind: "uploading", sharers: ["a", "b", "c"] });
    const uploaded = transition(feed(uploading(), uploads("a", "b", "d")).state, tick, 1_000).state;
    expect(uploaded).toMatchObject({ kind: "confirming", survivors: ["a", "b", "d"] });
    const confirmed = transition(feed(confirming(), each("confirmed", "a", "b", "d")).state, tick, 1_000);
    expect(confirmed.state).toMatchObject({ kind: "unmasking", signers: ["a", "b", "d"] });
    expect(confirmed.state).toMatchObject({
      survivors: ["a", "b", "c", "d"],
      members: { c: { status: { kind: "uploaded" } } },
    });
    expect(kinds(confirmed.effects)).not.toContain("withdraw");
    const revealed = transition(feed(unmasking(), each("revealed", "a", "b", "d")).state, tick, 1_000);
    expect(revealed.state).toMatchObject({ kind: "aggregating", survivors: ["a", "b", "c", "d"] });
    expect(kinds(revealed.effects)).not.toContain("withdraw");
  });

  it("aborts below the floors: t for shares and reveals, minSites for the sum", () => {
    for (const [state, events, reason] of [
      [sharing(), each("shared", "a", "b"), "too-few-shares"],
      [uploading(), uploads("a", "b"), "too-few-uploads"],
      [confirming(), each("confirmed", "a", "b"), "too-few-confirmations"],
      [unmasking(), each("revealed", "a", "b"), "too-few-reveals"],
    ] as const) {
      const ended = transition(feed(state, events).state, tick, 1_000).state;
      expect(ended).toMatchObject({ kind: "aborted", reason, failures: 1 });
    }
  });

  it("tolerates a lost site after sharing with three sites and no colluders", () => {
    const state = feed(training(["a", "b", "c"], { rules: { ...rules, minSites: 2 } }), [
      ...each("adverted", "a", "b", "c"),
      ...each("shared", "a", "b", "c"),
      ...uploads("a", "b"),
    ]).state;
    expect(transition(state, tick, 1_000).state).toMatchObject({ kind: "confirming", survivors: ["a", "b"] });
  });

  it("pauses after five attempts in a row were lost", () => {
    const start = { ...sharing(), failures: 4 };
    const { state, effects } = transition(start, tick, 1_000);
    expect(state).toMatchObject({ kind: "aborted", failures: 5, next: { kind: "pause" } });
    expect(kinds(effects)).toContain("pause-run");
  });

  it("gives every stage its time again after a restart", () => {
    for (const state of [sharing(), uploading(), confirming(), unmasking()]) {
      const recovered = transition(state, { kind: "recovered" }, 5_000).state;
      expect(recovered).toMatchObject({ kind: state.kind, deadlineMs: 6_000, members: { a: { detachedAtMs: 5_400 } } });
    }
    expect(transition(aggregating(), { kind: "recovered" }, 5_000).effects).toEqual([{ kind: "start-aggregation" }]);
  });
});

describe("the end", () => {
  it("commits what the sum gave", () => {
    const { state, effects } = transition(aggregating(), { kind: "aggregated", aggregate, blamed: [] }, 9);
    expect(state).toMatchObject({ kind: "committed", survivors: ["a", "b", "c", "d"], aggregate, committedAtMs: 9 });
    expect(kinds(effects)).toEqual(["stage-closed", "answer-waiters", "round-committed"]);
  });

  describe("with features that have collapsed", () => {
    const collapse = {
      ...{ minFeatureSpread: 0.05, minEffectiveRank: 1.5, patienceRounds: 3 },
      ...{ firstRound: 2, lastRound: 9, largestEntropy: null },
    };
    const low = { featureSpread: 0.01 };
    const commit = (round: number, watched: RoundState["watched"]) => {
      const key = { runId: "run", round, attempt: 1 };
      const state: RoundState = { ...aggregating(), key, watched, rules: { ...rules, collapse } };
      return transition(state, { kind: "aggregated", aggregate: { ...aggregate, figures: low }, blamed: [] }, 9);
    };

    it("commits the round, and pauses the run with the reason once it has seen enough", () => {
      const { state, effects } = commit(7, [
        { round: 5, figures: low },
        { round: 6, figures: low },
      ]);
      const reason = "collapsed: spread of features 0.01, below 0.05, in rounds 5 to 7";
      expect(state).toMatchObject({ kind: "committed", alarm: reason });
      expect(kinds(effects)).toEqual(["stage-closed", "answer-waiters", "round-committed", "pause-run"]);
      expect(effects.at(-1)).toEqual({ kind: "pause-run", reason });
    });

    it("remembers the round, and goes on until then", () => {
      const { state, effects } = commit(7, [{ round: 6, figures: low }]);
      expect(state).toMatchObject({
        kind: "committed",
        alarm: null,
        watched: [{ round: 6 }, { round: 7, figures: low }],
      });
      expect(kinds(effects)).not.toContain("pause-run");
    });

    it("carries what it remembers through every stage and through lost attempts", () => {
      const watched = [{ round: 5, figures: low }];
      const start = selecting({ present: ["a", "b", "c"], watched });
      let { state } = feed(start, [tick]);
      for (const events of [each("adverted", "a", "b", "c"), each("shared", "a", "b", "c"), uploads("a", "b", "c")]) {
        ({ state } = feed(state, events));
        expect(state.watched).toEqual(watched);
      }
      expect(transition(state, tick, 1_000).state).toMatchObject({ kind: "aborted", watched });
    });
  });

  it("leaves out sites that gave wrong shares, unless half the sites are suspected", () => {
    const failed = (blamed: string[]): RoundEvent => ({
      kind: "aggregation-failed",
      code: "share-invalid",
      detail: "",
      blamed,
    });
    expect(transition(aggregating(), failed(["a"]), 9).state).toMatchObject({
      kind: "aborted",
      reason: "aggregation-failed",
      excluded: { a: { reason: "bad-share" } },
    });
    expect(transition(aggregating(), failed(["a", "b"]), 9).state).toMatchObject({ excluded: {} });
  });

  it("stops from everywhere, and nothing follows", () => {
    const stopped: RoundEvent = { kind: "stopped", reason: "stopped by x" };
    for (const state of [selecting(), training(), sharing(), uploading(), confirming(), unmasking(), aggregating()]) {
      const { state: ended, effects } = transition(state, stopped, 1);
      expect(ended).toMatchObject({ kind: "aborted", reason: "stopped", next: { kind: "stop" } });
      expect(kinds(effects).at(-1)).toBe("stop-run");
    }
  });

  it("changes nothing by events that do not fit the state", () => {
    const events: RoundEvent[] = [
      { kind: "aggregated", aggregate, blamed: [] },
      { kind: "aggregation-failed", code: "internal", detail: "", blamed: [] },
      { kind: "phase-reported", siteId: "zz", phase: "masking", stepsDone: 1 },
      { kind: "site-dropped", siteId: "zz", reason: "revoked" },
      ...each("adverted", "zz"),
      ...each("shared", "zz"),
      ...uploads("zz"),
      ...each("confirmed", "zz"),
      ...each("revealed", "zz"),
    ];
    const over = transition(aggregating(), { kind: "aggregated", aggregate, blamed: [] }, 9).state;
    for (const state of [training(), sharing(), uploading(), confirming(), unmasking(), over]) {
      for (const event of events) expect(transition(state, event, 1).state).toEqual(state);
    }
    const all: RoundEvent[] = [...events, tick, { kind: "recovered" }, { kind: "stopped", reason: "" }];
    for (const event of all) expect(transition(over, event, 99_999)).toEqual({ state: over, effects: [] });
  });
});
