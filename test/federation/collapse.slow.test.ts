import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SmallFederation } from "../support/small-federation.js";

describe("a run whose teacher says the same of every image", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites: ["north", "south", "west"] });
    await federation.start();
  }, 120_000);

  afterAll(() => federation.remove(), 60_000);

  it("is paused with the reason, keeps its checkpoints, and can be stopped", async () => {
    // At these temperatures no prototype is ever preferred to another: neither network needs to look at the image.
    const head = { outputDim: 32, hiddenDim: 32, bottleneckDim: 16, localCrops: 0, localSize: 16 };
    const method = { name: "dino", ...head, studentTemperature: 50, teacherTemperature: 50 };
    const runId = await federation.launch({ name: "tiny-dino", method, rounds: 8, monitor: { patienceRounds: 2 } });
    const paused = await federation.runUntil(runId, "run paused", (run) => run.summary.status === "paused");
    expect(paused.summary.statusReason).toMatch(
      /collapsed: teacher undecided about every image, entropy \d[\d.]* % of the largest, in rounds 2 to 3/,
    );
    expect(paused.history).toHaveLength(3);
    expect(paused.summary.checkpointDigest).toBe(paused.history[2]!.checkpointDigest);
    await federation.consilium("run", "stop", runId);
    await federation.runUntil(runId, "run stopped", (run) => run.summary.status === "stopped");
  }, 240_000);
});
