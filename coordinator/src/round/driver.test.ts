import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { advertOf, keyOf, settle, sites, stageNames, TestFederation } from "./test-federation.js";

let federation: TestFederation;

beforeEach(() => {
  federation = new TestFederation();
});

afterEach(() => federation.remove());

describe("a run", () => {
  it("goes from launch to completion, with its lineage", async () => {
    const runId = await federation.launch(2);
    expect(federation.detail(runId).current).toMatchObject({
      stage: "selecting",
      waitingFor: "3 more sites (0 of 3 here)",
    });
    federation.attach(...sites);
    expect(federation.parts.offered.map((offer) => offer.siteId)).toEqual(sites);
    expect((await federation.playRound()).map((outcome) => outcome.kind)).toEqual(["result", "result", "result"]);
    expect(keyOf(federation.plan)).toMatchObject({ round: 2, attempt: 1 });
    await federation.playRound();
    const { summary, history, current } = federation.detail(runId);
    expect(summary).toMatchObject({ status: "completed", roundsDone: 2, lastLoss: 1.5 });
    expect(current).toBeUndefined();
    expect(history[1]!.parentDigest).toBe(history[0]!.checkpointDigest);
    expect(summary.checkpointDigest).toBe(history[1]!.checkpointDigest);
    expect(history[0]).toMatchObject({ cohort: sites, attempts: 1, weight: 30, dropped: [] });
  });

  it("waits in the queue behind the active one, and the same request is one run", async () => {
    const first = await federation.launch(1);
    const second = await federation.launch(2);
    const { queue } = federation.parts;
    expect(await federation.launch(1)).toBe(first);
    expect(queue.list().map((run) => run.status)).toEqual(["running", "queued"]);
    queue.stop(first, "me");
    expect(federation.detail(second).summary.status).toBe("running");
    expect(federation.detail(first).summary).toMatchObject({ status: "stopped", statusReason: "stopped by me" });
  });

  it("that has lost its checkpoint fails, and those behind it go on", async () => {
    const [first, broken, last] = [await federation.launch(1), await federation.launch(2), await federation.launch(3)];
    const { checkpointDigest } = federation.detail(broken).summary;
    rmSync(join(federation.home, "checkpoints", `${checkpointDigest}.safetensors`));
    federation.parts.queue.stop(first, "me");
    expect(federation.detail(broken).summary).toMatchObject({ status: "failed" });
    expect(federation.detail(last).summary.status).toBe("running");
  });

  it("stops in the middle, tells the sites, and goes on when resumed", async () => {
    const runId = await federation.launch(1);
    federation.attach(...sites);
    const waiting = federation.act("a", "advertise");
    federation.parts.queue.stop(runId, "me");
    expect(await waiting).toEqual({ kind: "aborted", reason: "stopped" });
    expect(federation.parts.withdrawn.map((entry) => entry.siteId)).toEqual(sites);
    federation.parts.queue.resume(runId);
    expect(keyOf(federation.plan)).toMatchObject({ round: 1, attempt: 2 });
    await federation.playRound();
    expect(federation.detail(runId).summary.status).toBe("completed");
  });

  it("halts the process when the store fails after a commit, and goes on from the disk", async () => {
    const runId = await federation.launch(2);
    federation.attach(...sites);
    for (const stage of ["advertise", "share", "upload", "confirm"] as const) await federation.all(stage);
    const { store, halted } = federation.parts;
    const full = new Error("database or disk is full");
    const addAttempt = () => {
      throw full;
    };
    Object.assign(store, { addAttempt });
    await federation.all("unmask");
    await settle();
    expect(halted[0]).toBe(full);
    expect(federation.detail(runId).summary).toMatchObject({ status: "running", roundsDone: 1 });
    await federation.restart();
    federation.attach(...sites);
    await federation.playRound();
    expect(federation.detail(runId).summary).toMatchObject({ status: "completed", roundsDone: 2 });
  });

  it("closes the round without a site that is lost after sharing", async () => {
    const runId = await federation.launch(1);
    federation.attach(...sites);
    await federation.all("advertise");
    await federation.all("share");
    const uploads = federation.all("upload", ["a", "b"]);
    federation.attachments.get("c")!.detach();
    await federation.uploadsStored(2);
    federation.clock.advance(1_000);
    const survivors = { kind: "survivors", sites: ["a", "b"] };
    expect(await uploads).toEqual([survivors, survivors]);
    const { plan } = federation;
    await federation.all("confirm", ["a", "b"]);
    await federation.all("unmask", ["a", "b"]);
    await settle();
    expect(federation.detail(runId).history[0]).toMatchObject({
      cohort: ["a", "b"],
      dropped: [{ siteId: "c", phase: "dropped", reason: "detached" }],
    });
    expect(federation.parts.jobs[0]).toMatchObject({ sharers: sites, survivors: ["a", "b"] });
    expect(await federation.act("c", "upload", { plan })).toEqual({ kind: "dropped", reason: "detached" });
  });

  it("pauses when attempt after attempt is lost after training, and can be resumed", async () => {
    const runId = await federation.launch(1);
    federation.attach(...sites);
    for (let lost = 0; lost < 3; lost++) {
      await federation.all("advertise");
      federation.clock.advance(10_000);
      federation.clock.advance(60_000);
    }
    const { summary } = federation.detail(runId);
    expect(summary.status).toBe("paused");
    expect(summary.statusReason).toContain("3 attempts in a row were lost");
    federation.parts.queue.resume(runId);
    expect(keyOf(federation.plan)).toMatchObject({ round: 1, attempt: 4 });
    expect(federation.parts.paused).toEqual(["lost-attempts"]);
  });
});

describe("a run whose features collapse", () => {
  const playTo = async (round: number) => {
    while (keyOf(federation.plan).round <= round && federation.detail(runId).summary.status === "running") {
      await federation.playRound();
    }
    return federation.detail(runId).summary;
  };
  let runId: string;
  beforeEach(async () => {
    federation.figures = { featureSpread: 0.02, effectiveRank: 4 };
    runId = await federation.launch(12);
    federation.attach(...sites);
  });

  it("commits the round that completes the collapse, pauses, and lets the next run go on", async () => {
    const next = await federation.launch(2);
    const summary = await playTo(8);
    // The first tenth, two rounds, is not looked at.
    expect(summary).toMatchObject({ status: "paused", roundsDone: 5 });
    expect(summary.statusReason).toBe("collapsed: spread of features 0.02, below 0.05, in rounds 3 to 5");
    expect(federation.detail(runId).history.at(-1)).toMatchObject({
      round: 5,
      figures: { featureSpread: 0.02, effectiveRank: 4, aggregateNorm: 1 },
    });
    expect(federation.parts.paused).toEqual(["collapse"]);
    expect(federation.detail(next).summary.status).toBe("running");
    expect(keyOf(federation.plan).runId).toBe(next);
  });

  it("stays paused over a restart, and needs as many rounds again once it is resumed", async () => {
    await playTo(8);
    await federation.restart();
    expect(federation.detail(runId).summary).toMatchObject({ status: "paused", roundsDone: 5 });
    federation.attach(...sites);
    federation.parts.queue.resume(runId);
    expect(keyOf(federation.plan)).toMatchObject({ round: 6, attempt: 1 });
    // The coordinator's memory of the rounds is on disk.
    expect(await playTo(7)).toMatchObject({ status: "running", roundsDone: 7 });
    const { plan } = federation;
    await federation.restart();
    federation.attach(...sites);
    for (const stage of stageNames) await federation.all(stage, sites, { plan });
    await settle();
    expect(federation.detail(runId).summary).toMatchObject({ status: "paused", roundsDone: 8 });
  });

  it("goes on where figures recover", async () => {
    await playTo(4);
    federation.figures = { featureSpread: 0.4, effectiveRank: 4 };
    expect(await playTo(12)).toMatchObject({ status: "completed", roundsDone: 12, statusReason: "" });
  });
});

describe("messages", () => {
  beforeEach(async () => {
    await federation.launch(1);
    federation.attach(...sites);
  });

  it("get the same outcome again, and a conflict for other bytes", async () => {
    const { plan } = federation;
    const first = federation.act("a", "advertise");
    const again = federation.act("a", "advertise");
    const advert = { ...advertOf("a", plan.body), nonce: new Uint8Array(32) };
    const value = { advert, aborts: [] };
    await expect(federation.send("a", "advertise", { key: keyOf(plan), value })).rejects.toMatchObject({
      code: "message-conflict",
    });
    const advertised = { kind: "advertised", advertisers: sites, aborts: [] };
    const rest = await federation.all("advertise", ["b", "c"]);
    expect([await first, await again, ...rest]).toEqual([advertised, advertised, advertised, advertised]);
    expect(await federation.act("a", "advertise")).toEqual(advertised);
  });

  it("before their stage, or for an unknown attempt, are stale", async () => {
    await expect(federation.act("a", "share")).rejects.toMatchObject({ code: "stale" });
    const key = { runId: "none", round: 1, attempt: 1 };
    await expect(federation.send("a", "share", { key, value: [] })).rejects.toMatchObject({ code: "stale" });
  });

  it("that cannot be drop their site, and the others go on", async () => {
    const { plan } = federation;
    const value = { advert: { ...advertOf("b", plan.body), siteId: "a" }, aborts: [] };
    await expect(federation.send("a", "advertise", { key: keyOf(plan), value })).rejects.toMatchObject({
      code: "update-invalid",
    });
    expect(federation.parts.dropped).toEqual(["bad-signature"]);
    // Two of three are too few to begin masking, so another attempt follows.
    federation.clock.advance(1_000);
    expect(keyOf(federation.plan)).toMatchObject({ round: 1, attempt: 2 });
  });

  it("of the wrong length drop their site", async () => {
    await federation.all("advertise");
    await federation.all("share");
    const { submissions, dropped } = federation.parts;
    await expect(submissions.beginUpload(keyOf(federation.plan), "c", 7)).rejects.toMatchObject({
      code: "update-invalid",
    });
    expect(dropped).toEqual(["wrong-length"]);
    const outcomes = await federation.all("upload", ["a", "b"]);
    expect(outcomes[0]).toEqual({ kind: "survivors", sites: ["a", "b"] });
  });
});

describe("a coordinator that dies", () => {
  it.each(stageNames)("in stage %s goes on where it was", async (stage) => {
    const runId = await federation.launch(1);
    federation.attach(...sites);
    const begun = stageNames.indexOf(stage);
    for (const earlier of stageNames.slice(0, begun)) await federation.all(earlier);
    const lost = federation.act("a", stage).catch(() => undefined);
    await (stage === "upload" ? federation.uploadsStored(1) : settle());
    const { plan } = federation;
    await federation.restart();
    await lost;
    federation.attach(...sites);
    expect(federation.parts.queue.planFor("a")?.body).toEqual(plan.body);
    for (const later of stageNames.slice(begun)) await federation.all(later, sites, { plan });
    await settle();
    expect(federation.detail(runId).summary).toMatchObject({ status: "completed", roundsDone: 1 });
  });

  it("does not lose a run that still waits, nor one between two attempts", async () => {
    const runId = await federation.launch(1);
    await federation.restart();
    federation.attach(...sites);
    federation.clock.advance(100_000);
    expect(federation.detail(runId).current).toMatchObject({ attempt: 2, stage: "selecting" });
    await federation.restart();
    federation.attach(...sites);
    federation.clock.advance(1_000);
    expect(keyOf(federation.plan)).toMatchObject({ round: 1, attempt: 2 });
  });

  it("and whose checkpoint is gone says so instead of going on", async () => {
    const runId = await federation.launch(1);
    const { checkpointDigest } = federation.detail(runId).summary;
    federation.kill();
    rmSync(join(federation.home, "checkpoints", `${checkpointDigest}.safetensors`));
    await federation.start();
    expect(federation.detail(runId).summary.status).toBe("failed");
  });
});
