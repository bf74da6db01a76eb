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
    const training = { batchSize: 16, stepsPerRound: 30 };
    const runId = await federation.launch({ rounds: 6, training });
    await federation.runUntil(
      runId,
      "east trains in round 2",
      ({ current }) =>
        current?.round === 2 && current.sites.some((site) => site.siteId === "east" && site.phase === "training"),
    );
    await federation.agent("east")!.kill();
    const without = await federation.runUntil(runId, "round closed", (run) => run.summary.roundsDone >= 2);
    const second = without.history[1]!;
    expect(second.cohort).toEqual(["north", "south", "west"]);
    expect(second.dropped.map((site) => site.siteId)).toEqual(["east"]);

    federation.startAgent("east");
    const run = await federation.finished(runId);
    expect(run.history).toHaveLength(6);
    expect(run.history.slice(2).some((record) => record.cohort.includes("east"))).toBe(true);
    expect(lineageHolds(run)).toBe(true);
  }, 240_000);
});
