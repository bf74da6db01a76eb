import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lineageHolds, SmallFederation } from "../support/small-federation.js";

const sites = ["north", "south", "west", "east"];

describe("a hospital that is killed in the middle of a round", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites });
    await federation.start();
  }, 120_000);

  afterAll(() => federation.remove(), 60_000);

  it("is dropped from that round, which closes with the rest, and is back in a later one", async () => {
    // Any round from the second on: each look at the run starts a process, and a busy machine may miss one.
    const training = { batchSize: 16, stepsPerRound: 30 };
    const runId = await federation.launch({ rounds: 6, training });
    const { current } = await federation.runUntil(
      runId,
      "east trains in a later round",
      ({ current: now }) =>
        now !== undefined &&
        now.round >= 2 &&
        now.sites.some((site) => site.siteId === "east" && site.phase === "training"),
    );
    const { round } = current!;
    await federation.agent("east")!.kill();
    const without = await federation.runUntil(runId, "round closed", (run) => run.summary.roundsDone >= round);
    const lost = without.history[round - 1]!;
    expect(lost.cohort).toEqual(["north", "south", "west"]);
    expect(lost.dropped.map((site) => site.siteId)).toEqual(["east"]);

    federation.startAgent("east");
    const run = await federation.finished(runId);
    expect(run.history).toHaveLength(6);
    expect(run.history.slice(round).some((record) => record.cohort.includes("east"))).toBe(true);
    expect(lineageHolds(run)).toBe(true);
  }, 300_000);
});
