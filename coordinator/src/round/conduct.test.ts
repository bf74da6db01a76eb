import { describe, expect, it } from "vitest";
import type { RoundEvent, RoundState, Selecting } from "./state.js";
import { aggregate, aggregating, each, feed, selecting, tick, training, uploads } from "./test-states.js";

describe("a site that costs attempts", () => {
  const fault = (siteId: string): RoundEvent => ({ kind: "site-dropped", siteId, reason: "bad-message" });
  const withConduct = (faults: number, stalls: number) => ({ conduct: { a: { faults, stalls, overruns: 0 } } });
  const aggregated: RoundEvent = { kind: "aggregated", aggregate, blamed: [] };

  it("is left out of the run after its third message that no honest site sends", () => {
    const sites = ["a", "b", "c", "d"];
    const first = feed(training(sites), [fault("a"), fault("a")]).state;
    expect(first).toMatchObject({ conduct: { a: { faults: 1, stalls: 0 } }, excluded: {} });
    expect(feed(training(sites, withConduct(1, 0)), [fault("a")]).state.excluded).toEqual({});
    const third = feed(training(sites, withConduct(2, 0)), [fault("a")]).state;
    expect(third).toMatchObject({ excluded: { a: { reason: "bad-message", detail: "3 times" } } });
    const again = feed(third, [{ kind: "site-attached", siteId: "a" }]).state;
    expect(again.excluded).toHaveProperty("a");
  });

  it("is not counted for leaving on its own", () => {
    const left: RoundEvent = { kind: "site-failed", siteId: "a", reason: "not-finite", code: "not-finite" };
    expect(feed(training(), [left]).state).toMatchObject({ conduct: {}, excluded: {} });
  });

  it("is left out after three stages in a row that waited for it, until it attaches anew", () => {
    const stalls = (before: number) => {
      const state = feed(training(undefined, withConduct(0, before)), each("adverted", "a", "b", "c", "d")).state;
      return feed(feed(state, each("shared", "b", "c", "d")).state, [tick], 2_000).state;
    };
    expect(stalls(1)).toMatchObject({ kind: "uploading", conduct: { a: { faults: 0, stalls: 2 } }, excluded: {} });
    expect(stalls(2)).toMatchObject({ kind: "uploading", excluded: { a: { reason: "deadline", detail: "3 times" } } });
    expect(feed(stalls(2), [{ kind: "site-attached", siteId: "a" }]).state.excluded).toEqual({});
  });

  it("begins anew with its stalls, not with its faults, once it was there to the end of a round", () => {
    const counts = { a: { faults: 2, stalls: 2, overruns: 3 }, x: { faults: 0, stalls: 1, overruns: 1 } };
    const { conduct } = feed({ ...aggregating(), conduct: counts }, [aggregated]).state;
    expect(conduct).toEqual({ a: { faults: 2, stalls: 0, overruns: 2 }, x: counts.x });
  });

  it("cannot turn what leaves it out into a refusal, which attaching anew would end", () => {
    const refused: RoundEvent = { kind: "refused", siteId: "a", clause: "jobs.maxRounds" };
    const out = { reason: "bad-share" as const, detail: "round 1" };
    for (const before of [training(["b", "c", "d"], { excluded: { a: out } }), selecting({ excluded: { a: out } })]) {
      expect(feed(before, [refused, ...each("site-attached", "a")]).state.excluded).toEqual({ a: out });
    }
  });
});

describe("a site that training waits for in vain", () => {
  const sites = ["a", "b", "c", "d"];
  const withOverruns = (overruns: number, round = 1): Partial<Selecting> => ({
    key: { runId: "run", round, attempt: 1 },
    conduct: { a: { faults: 0, stalls: 0, overruns } },
  });
  /** The training stage without a's advert, to its deadline. */
  const trainedWithout = (overruns: number, round = 1) => {
    return feed(
      feed(training(sites, withOverruns(overruns, round)), each("adverted", "b", "c", "d")).state,
      [tick],
      10_000,
    );
  };
  const commitOf = (state: RoundState, nowMs: number) => {
    const rest = ["b", "c", "d"];
    const events = [...each("shared", ...rest), ...uploads(...rest), ...each("confirmed", ...rest)];
    const done = [...events, ...each("revealed", ...rest)];
    return feed(state, [...done, { kind: "aggregated", aggregate, blamed: [] }], nowMs).state;
  };

  it("sits out a round after the second time, then two, then four", () => {
    expect(trainedWithout(0).state).toMatchObject({ kind: "sharing", conduct: { a: { overruns: 1 } }, excluded: {} });
    for (const [before, untilRound] of [
      [1, 7],
      [2, 8],
      [3, 10],
    ] as const) {
      const { state } = trainedWithout(before, 5);
      expect(state.excluded).toEqual({
        a: { reason: "deadline", detail: `asked again in round ${untilRound}`, untilRound },
      });
      // It is there at no cost.
      expect(feed(state, each("site-attached", "a")).state.excluded).toHaveProperty("a");
    }
  });

  it("is asked again when its rest is over, whatever it did", () => {
    const first = commitOf(trainedWithout(1, 5).state, 10_000);
    expect(first).toMatchObject({ kind: "committed", key: { round: 5 }, excluded: { a: { untilRound: 7 } } });
    const { excluded, conduct } = first;
    const sixth = { key: { runId: "run", round: 6, attempt: 1 }, excluded, conduct };
    const next = training(sites, sixth);
    expect(Object.keys("members" in next ? next.members : {})).toEqual(["b", "c", "d"]);
    expect(feed(next, each("site-attached", "a")).state).not.toHaveProperty("members.a");
    expect(commitOf(feed(next, each("adverted", "b", "c", "d")).state, 0)).toMatchObject({
      kind: "committed",
      excluded: {},
    });
  });

  it("takes part while it rests where the round has too few sites without it", () => {
    const excluded = { a: { reason: "deadline" as const, detail: "", untilRound: 9 } };
    expect(training(["a", "b", "c"], { excluded })).toMatchObject({
      kind: "training",
      members: { a: {}, b: {}, c: {} },
    });
    const bad = { a: { reason: "bad-share" as const, detail: "" } };
    expect(training(["a", "b", "c"], { excluded: bad }).kind).toBe("selecting");
  });

  it("is not counted where half of the sites were late, or where it was lost early", () => {
    const half = feed(training([...sites, "e", "f"]), each("adverted", "d", "e", "f")).state;
    expect(feed(half, [tick], 10_000).state).toMatchObject({ kind: "sharing", conduct: {} });
    const lostAt = (atMs: number) => {
      const gone = feed(training(sites), each("site-detached", "a"), atMs).state;
      return feed(feed(gone, each("adverted", "b", "c", "d"), atMs).state, [tick], atMs + 200).state;
    };
    expect(lostAt(4_999)).toMatchObject({ kind: "sharing", conduct: {} });
    // Leaving just before the deadline costs the others as much as staying.
    expect(lostAt(5_000)).toMatchObject({ kind: "sharing", conduct: { a: { overruns: 1 } } });
  });
});
