import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lineageHolds, SmallFederation } from "../support/small-federation.js";

/** Places in a round where the coordinator is ended; see coordinator/src/failpoint.ts. */
const failpoints = [
  "advertise/before-persist",
  "advertise/after-persist:2",
  "advertise/closed",
  "share/before-persist",
  "share/after-persist",
  "share/closed",
  "upload/middle",
  "upload/before-rename",
  "upload/file-durable:2",
  "upload/before-persist",
  "upload/after-persist",
  "upload/closed",
  "confirm/before-persist:2",
  "confirm/after-persist",
  "confirm/closed",
  "unmask/before-persist:2",
  "unmask/after-persist",
  "unmask/closed",
  "aggregate/started",
  "checkpoint/durable",
  "commit/before",
  "commit/after",
  "plan/before-persist",
  "plan/after-persist",
];

describe.each([
  { ends: "is killed", signal: "SIGKILL", ended: null },
  { ends: "is asked to stop", signal: "SIGTERM", ended: 0 },
])("a coordinator that $ends in every stage of a run", ({ signal, ended }) => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites: ["north", "south", "west"] });
    await federation.start();
  }, 120_000);

  afterAll(() => federation.remove(), 60_000);

  it("goes on from where it was, and the model's lineage has no gap", async () => {
    const rounds = failpoints.length;
    const runId = await federation.launch({ rounds, training: { batchSize: 8, stepsPerRound: 1 } });
    for (const failpoint of failpoints) {
      await federation.killCoordinator();
      const at = failpoint.includes(":") ? failpoint : `${failpoint}:1`;
      // Killed, it has no exit code; one would mean that it stopped by itself.
      const code = await federation.spawnCoordinator({ CONSILIUM_FAILPOINT: `${at}:${signal}` }).ended();
      expect([failpoint, code]).toEqual([failpoint, ended]);
    }
    await federation.startCoordinator();
    const run = await federation.finished(runId);
    expect(run.history.map((record) => record.round)).toEqual(Array.from({ length: rounds }, (_, index) => index + 1));
    expect(run.history.every((record) => record.cohort.length >= 2)).toBe(true);
    expect(lineageHolds(run)).toBe(true);
    expect(run.summary.checkpointDigest).toBe(run.history.at(-1)!.checkpointDigest);
  }, 420_000);
});
