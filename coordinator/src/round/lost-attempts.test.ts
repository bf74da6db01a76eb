import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keyOf, sites, TestFederation } from "./test-federation.js";

let federation: TestFederation;
let runId: string;

beforeEach(async () => {
  federation = new TestFederation();
  runId = await federation.launch(2);
  federation.attach(...sites);
  for (const stage of ["advertise", "share", "upload", "confirm"] as const) await federation.all(stage);
});
afterEach(() => federation.remove());

const attempt = () => keyOf(federation.plan).attempt;
const waitingFor = () => federation.detail(runId).current?.waitingFor;
const stageMs = 10_000;
const trainingMs = 100_000;
const goneC = "c or 1 other site: in attempt 1, which was lost, sites confirmed a sum with c";

/** Nobody helps to unmask; the next attempt begins. */
function lose(): void {
  federation.clock.advance(stageMs);
  federation.clock.advance(60_000);
}

describe("a round whose confirmed attempt was lost", () => {
  it("goes on at once with the same sites", async () => {
    lose();
    expect(attempt()).toBe(2);
    const outcomes = await federation.playRound();
    expect(outcomes).toMatchObject([{ cohort: sites }, { cohort: sites }, { cohort: sites }]);
    expect(federation.detail(runId).history[0]).toMatchObject({ attempts: 2, cohort: sites });
  });

  it("waits for the one that is gone, says so, and goes on when it is back, also after a restart", async () => {
    federation.attachments.get("c")!.detach();
    lose();
    expect(attempt()).toBe(1);
    expect(waitingFor()).toContain(goneC);
    await federation.restart();
    federation.attach("a", "b");
    expect(waitingFor()).toContain(goneC);
    federation.attach("c");
    expect(attempt()).toBe(2);
    await federation.playRound();
    expect(federation.detail(runId).history[0]).toMatchObject({ cohort: sites });
  });

  it("pauses with the reason when it never comes back, and still knows it when it is resumed", async () => {
    federation.attachments.get("c")!.detach();
    lose();
    federation.clock.advance(trainingMs);
    const { summary } = federation.detail(runId);
    expect(summary).toMatchObject({ status: "paused", statusReason: `waited in vain for ${goneC}` });
    expect(federation.parts.paused).toEqual(["lost-attempts"]);
    federation.parts.queue.resume(runId);
    expect(waitingFor()).toContain(goneC);
    federation.attach("c");
    await federation.playRound();
    expect(federation.detail(runId).history[0]).toMatchObject({ cohort: sites });
  });

  it("does not let a site go on in another cohort while one of the lost attempt is away", async () => {
    lose();
    expect(attempt()).toBe(2);
    // The attempt has begun with all three; without one of them the others would refuse to confirm.
    await federation.all("advertise");
    const waiting = federation.all("share", ["a", "b"]);
    federation.attachments.get("c")!.detach();
    federation.clock.advance(stageMs);
    expect(await waiting).toMatchObject([{ kind: "aborted" }, { kind: "aborted" }]);
    federation.clock.advance(60_000);
    expect(waitingFor()).toContain(goneC);
  });

  it("is forgotten once the round is committed", async () => {
    lose();
    await federation.playRound();
    expect(keyOf(federation.plan)).toMatchObject({ round: 2, attempt: 1 });
    expect(federation.parts.queue.driverOf(keyOf(federation.plan))?.state?.lostAttempts).toEqual([]);
  });
});
