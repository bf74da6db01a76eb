import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Policy } from "../policy.js";
import { SiteRefusal } from "../refusal.js";
import { exampleConfig, examplePlan, examplePolicy, received } from "../test-plans.js";
import { testSite } from "./test-federation.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "participant-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const key = (round: number, attempt: number) => ({ key: { runId: "run-1", round, attempt } });
const manual: Policy = { ...examplePolicy, jobs: { ...examplePolicy.jobs, approval: "manual" } };
const unreachable = () => new ConsiliumError("unreachable", "no answer");

describe("a participant", () => {
  it("takes part in a whole round", async () => {
    const site = testSite(directory);
    expect((await site.plan()).kind).toBe("done");
    expect(site.coordinator.calls).toEqual([
      "fetch 1/0 from 0",
      "advertise 1/0",
      "share 1/0",
      "upload 1/0",
      "confirm 1/0",
      "unmask 1/0",
    ]);
    expect(site.coordinator.uploaded).toBe(40);
    const phases = site.coordinator.reports.map(({ phase, stepsDone }) => `${phase} ${stepsDone}`);
    expect(phases).toEqual(["fetching 0", "training 0", "training 1", "masking 1", "done 0"]);
    expect(existsSync(join(directory, "runs", "run-1", "delta-1.f32"))).toBe(false);
  });

  it("gives the trainer what the plan says", async () => {
    const site = testSite(directory);
    await site.plan(key(2, 1));
    expect(site.trainer.jobs).toMatchObject([{ runId: "run-1", round: 2, firstStep: 5, siteId: "site-a" }]);
    expect(site.trainer.jobs[0]!.checkpointPath).toMatch(/checkpoints\/[0-9a-f]{64}\.safetensors$/);
  });

  it("joins the next attempt without training again, when dropped", async () => {
    const site = testSite(directory);
    site.coordinator.answers.advertise = [{ kind: "dropped", reason: "deadline" }];
    expect(await site.plan(key(1, 0))).toMatchObject({ kind: "left", cause: "dropped" });
    expect((await site.plan(key(1, 1))).kind).toBe("done");
    expect(site.trainer.jobs).toHaveLength(1);
    expect(site.coordinator.calls.filter((call) => call.startsWith("fetch"))).toHaveLength(1);
  });

  it("joins the next attempt without training again, when the attempt was aborted at any stage", async () => {
    for (const stage of ["share", "upload", "confirm", "unmask"] as const) {
      const site = testSite(join(directory, stage));
      site.coordinator.answers[stage] = [{ kind: "aborted", reason: "too-few-shares" }];
      expect(await site.plan(key(1, 0))).toMatchObject({ kind: "left", cause: "aborted" });
      expect((await site.plan(key(1, 1))).kind).toBe("done");
      expect(site.trainer.jobs).toHaveLength(1);
    }
  });

  it("does not use an update that began from another checkpoint", async () => {
    const site = testSite(directory);
    site.coordinator.answers.advertise = [{ kind: "dropped", reason: "deadline" }];
    await site.plan(key(1, 0));
    await site.plan({ ...key(1, 1), checkpointDigest: new Uint8Array(32) });
    expect(site.participant.state).toMatchObject({ kind: "failed", code: "digest-mismatch" });
  });

  it("waits while the coordinator is away, in every stage, and repeats its call", async () => {
    const site = testSite(directory);
    for (const stage of ["fetch", "advertise", "share", "upload", "confirm", "unmask"] as const) {
      site.coordinator.answers[stage] = [unreachable(), unreachable()];
    }
    expect((await site.plan()).kind).toBe("done");
    expect(site.unreachable).toHaveLength(12);
    expect(site.coordinator.calls.slice(0, 2)).toEqual(["fetch 1/0 from 0", "fetch 1/0 from 2048"]);
    expect(site.coordinator.calls.filter((call) => call === "upload 1/0")).toHaveLength(3);
  });

  it("gives an attempt up when the coordinator stays away, and is there for the next", async () => {
    const site = testSite(directory);
    site.coordinator.answers.share = Array.from({ length: 100 }, unreachable);
    expect(await site.plan(key(1, 0))).toMatchObject({ kind: "failed", code: "unreachable" });
    site.coordinator.answers.share = [];
    expect((await site.plan(key(1, 1))).kind).toBe("done");
  });

  it("takes a conflict or a stale attempt as being out of it", async () => {
    const site = testSite(directory);
    site.coordinator.answers.advertise = [
      new ConsiliumError("message-conflict", "another message came first"),
      new ConsiliumError("stale", "the attempt is over"),
    ];
    expect(await site.plan(key(1, 0))).toMatchObject({ kind: "left", cause: "dropped" });
    expect(await site.plan(key(1, 1))).toMatchObject({ kind: "left", cause: "aborted" });
    expect((await site.plan(key(1, 2))).kind).toBe("done");
  });
});

describe("a participant after a restart", () => {
  it("does not show new keys in an attempt in which it advertised, and joins the next without training", async () => {
    const before = testSite(directory);
    before.coordinator.answers.share = Array.from({ length: 100 }, unreachable);
    await before.participant.receive({ kind: "plan", received: received(examplePlan(key(1, 0))) });
    while (!before.coordinator.calls.includes("share 1/0")) await new Promise((resolve) => setTimeout(resolve, 1));
    await before.participant.stop();

    const after = testSite(directory);
    expect(await after.plan(key(1, 0))).toMatchObject({ kind: "left", cause: "restarted" });
    expect(after.coordinator.calls).toEqual([]);
    expect(after.coordinator.reports).toMatchObject([{ phase: "failed", code: "attempt-aborted" }]);
    expect((await after.plan(key(1, 1))).kind).toBe("done");
    expect(after.trainer.jobs).toEqual([]);
  });

  it.each([
    ["attempt", key(2, 1)],
    ["round", key(1, 9)],
  ])("opens no images and fetches no model for an older %s than it took part in", async (_, older) => {
    const before = testSite(directory);
    expect((await before.plan(key(2, 2))).kind).toBe("done");
    await before.participant.stop();

    const after = testSite(directory);
    expect(await after.plan(older)).toMatchObject({ kind: "failed", code: "stale" });
    expect(after.trainer.jobs).toEqual([]);
    expect(after.audit.actions).not.toContain("model.received");
    expect(after.audit.actions).not.toContain("data.opened");
  });

  it("rejoins an attempt in which it was still training", async () => {
    const before = testSite(directory);
    before.trainer.gate = new Promise(() => {});
    await before.participant.receive({ kind: "plan", received: received(examplePlan(key(1, 0))) });
    while (before.trainer.jobs.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await before.participant.stop();

    const after = testSite(directory);
    expect((await after.plan(key(1, 0))).kind).toBe("done");
  });
});

describe("a participant whose work is no longer wanted", () => {
  it("stops training when the plan is withdrawn", async () => {
    const site = testSite(directory);
    site.trainer.gate = new Promise(() => {});
    await site.participant.receive({ kind: "plan", received: received(examplePlan(key(1, 0))) });
    while (site.trainer.jobs.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await site.participant.receive({ kind: "withdrawal", key: key(1, 0).key, reason: "stopped" });
    expect(site.participant.state).toMatchObject({ kind: "left", cause: "withdrawn" });
    await site.participant.stop();
    expect(site.coordinator.calls).toEqual(["fetch 1/0 from 0"]);
  });

  it("turns to a newer plan, and ignores older and repeated ones", async () => {
    const site = testSite(directory);
    let open = () => {};
    site.trainer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const receive = (round: number, attempt: number) =>
      site.participant.receive({ kind: "plan", received: received(examplePlan(key(round, attempt))) });
    await receive(2, 0);
    while (site.trainer.jobs.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await receive(2, 0);
    await receive(1, 5);
    expect(site.participant.state).toMatchObject({ kind: "training", key: { round: 2 } });
    await receive(3, 0);
    open();
    expect(await site.rest()).toMatchObject({ kind: "done", key: { round: 3 } });
    expect(site.trainer.jobs.map(({ round }) => round)).toEqual([2, 3]);
  });
});

describe("a participant's own no", () => {
  it("is reported with the clause of the policy", async () => {
    const site = testSite(directory);
    site.policy = { ...examplePolicy, jobs: { ...examplePolicy.jobs, maxRounds: 9 } };
    expect(await site.plan()).toMatchObject({ kind: "refused", clause: "jobs.maxRounds" });
    expect(site.coordinator.calls).toEqual([]);
    expect(site.coordinator.reports).toMatchObject([
      { phase: "refused", code: "policy-refused", clause: "jobs.maxRounds" },
    ]);
  });

  it("is the answer to every plan while there is no valid policy", async () => {
    const site = testSite(directory);
    site.policy = new ConsiliumError("config-invalid", "policy.yaml:3: unknown key 'joobs'");
    expect(await site.plan()).toMatchObject({ kind: "refused", clause: "policy.yaml" });
    site.policy = examplePolicy;
    expect(await site.participant.reconsider()).toBe(true);
    expect((await site.plan(key(1, 1))).kind).toBe("done");
  });

  it.each([0, 1, 2, 3])("takes up a new plan while an old one is reconsidered, %i turns later", async (turns) => {
    const site = testSite(directory);
    site.policy = new ConsiliumError("config-invalid", "policy.yaml:3: unknown key 'joobs'");
    expect(await site.plan()).toMatchObject({ kind: "refused", clause: "policy.yaml" });
    site.policy = examplePolicy;
    const arriving = { kind: "plan", received: received(examplePlan(key(1, 1))) } as const;
    const accepted = site.participant.receive(arriving);
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    await Promise.all([site.participant.reconsider(), accepted]);
    expect((await site.rest()).kind).toBe("done");
  });

  it("waits for a person's word about exactly the configuration that was signed", async () => {
    const site = testSite(directory);
    site.policy = manual;
    expect(await site.plan(key(1, 0))).toMatchObject({ kind: "refused", clause: "jobs.approval" });
    expect(await site.participant.reconsider()).toBe(false);
    const { runConfigJson } = examplePlan();
    expect(site.approvals.list()).toMatchObject([{ runId: "run-1", runConfigJson, decision: "waiting" }]);
    site.approvals.decide(site.approvals.find("run-1"), "granted");
    expect(await site.participant.reconsider()).toBe(true);
    expect((await site.plan(key(1, 1))).kind).toBe("done");
    expect((await site.plan(key(2, 0))).kind).toBe("done");

    const changed = canonicalJson({ ...exampleConfig, seed: 99 });
    expect(await site.plan({ ...key(3, 0), runConfigJson: changed })).toMatchObject({ code: "plan-invalid" });
    expect(site.approvals.list()).toHaveLength(1);
    expect((await site.plan(key(3, 1))).kind).toBe("done");
  });

  it("is thought over once the policy is another, where a model was refused that the policy could allow", async () => {
    const site = testSite(directory);
    const { coordinator } = site;
    const fetch = coordinator.fetchCheckpoint.bind(coordinator);
    coordinator.fetchCheckpoint = () => {
      throw new SiteRefusal("model.initialDigests", "the run begins with a model that is not its seed's");
    };
    await site.plan();
    expect(await site.rest()).toMatchObject({ kind: "refused", clause: "model.initialDigests" });
    expect(await site.participant.reconsider()).toBe(false);
    site.policy = { ...examplePolicy, model: { ...examplePolicy.model, initialDigests: ["a".repeat(64)] } };
    expect(await site.participant.reconsider()).toBe(true);
    coordinator.fetchCheckpoint = fetch;
    expect((await site.plan(key(1, 1))).kind).toBe("done");
  });

  it("is told to stop by a denial of what was granted", async () => {
    const site = testSite(directory);
    site.policy = manual;
    await site.plan(key(1, 0));
    site.approvals.decide(site.approvals.find("run-1"), "granted");
    expect((await site.plan(key(1, 1))).kind).toBe("done");
    site.approvals.decide(site.approvals.find("run-1"), "denied");
    expect(await site.plan(key(2, 0))).toMatchObject({ kind: "refused", clause: "jobs.approval" });
    expect(site.trainer.jobs).toHaveLength(1);
  });

  it("asks nobody about a run that another clause refuses", async () => {
    const site = testSite(directory);
    site.policy = { ...manual, jobs: { ...manual.jobs, maxRounds: 9 } };
    expect(await site.plan()).toMatchObject({ clause: "jobs.maxRounds" });
    expect(site.approvals.list()).toEqual([]);
  });

  it("holds outside the hours of the site", async () => {
    const site = testSite(directory, { hours: { startMinute: 13 * 60, endMinute: 14 * 60 } });
    expect(await site.plan()).toMatchObject({ kind: "refused", clause: "schedule.hours" });
    expect(await site.participant.reconsider()).toBe(false);
    site.clock.advance(3600 * 1000);
    expect(await site.participant.reconsider()).toBe(true);
  });

  it("counts the runs that ever used its images, over restarts and whatever their ids", async () => {
    const once = { ...examplePolicy, jobs: { ...examplePolicy.jobs, maxRunsPerDataset: 1 } };
    const refused = { kind: "refused", clause: "jobs.maxRunsPerDataset" };
    const first = testSite(directory);
    first.policy = once;
    expect(await first.plan()).toMatchObject({ kind: "done" });
    expect(await first.plan({ key: { runId: "run-2", round: 1, attempt: 0 } })).toMatchObject(refused);
    await first.participant.stop();
    const later = testSite(directory);
    later.policy = once;
    expect(await later.plan({ key: { runId: "run-2", round: 1, attempt: 1 } })).toMatchObject(refused);
    expect(await later.plan(key(2, 0))).not.toMatchObject(refused);
  });

  it("L: another configuration under the id of a run that was accepted is refused, also over restarts", async () => {
    const first = testSite(directory);
    first.coordinator.answers.unmask = [{ kind: "aborted", reason: "too-few-shares" }];
    expect(await first.plan(key(1, 1))).toMatchObject({ kind: "left" });
    await first.participant.stop();
    const later = testSite(directory);
    // The same update over the same sites, with other weights: the two sums would differ by what single sites sent.
    const config = { ...exampleConfig, aggregation: { ...exampleConfig.aggregation, weightCap: 7 } };
    const plan = { ...key(1, 2), runConfigJson: canonicalJson(config), weightCap: 7 };
    expect(await later.plan(plan)).toMatchObject({ kind: "failed", code: "plan-invalid" });
    expect(later.coordinator.calls).toEqual([]);
    expect((await later.plan(key(1, 3))).kind).toBe("done");
  });

  it("follows no run that it cannot count", async () => {
    writeFileSync(join(directory, "run-history"), "a file where the folder should be");
    const site = testSite(directory);
    expect(await site.plan()).toMatchObject({ kind: "failed", code: "storage" });
    expect(site.coordinator.calls).toEqual([]);
  });

  it("counts readable images again after training", async () => {
    const site = testSite(directory);
    site.trainer.sampleCount = 19;
    expect(await site.plan()).toMatchObject({ kind: "refused", clause: "jobs.minLocalSamples" });
    expect(site.coordinator.calls).toEqual(["fetch 1/0 from 0"]);
  });

  it("covers plans of another federation and of another model", async () => {
    const site = testSite(directory);
    expect(await site.plan({ federation: "other" })).toMatchObject({ kind: "failed", code: "plan-invalid" });
    const wrong: Parameters<typeof site.plan>[0][] = [
      { dimension: 5 },
      { checkpointDigest: new Uint8Array(31) },
      { layoutDigest: new Uint8Array(32) },
      { tensorClips: [1] },
      { tensorClips: examplePlan().tensorClips.map(() => Number.NaN) },
      { l2Clip: 0 },
      { weightCap: 0 },
      { lanes: ["weight", "age"] },
      { checkpointBytes: 1e12 },
      { runConfigJson: "{" },
      { runConfigJson: "{}" },
      { minCohort: 1 },
      { stageWindowMs: 0 },
      { firstStep: 5 },
    ];
    for (const [attempt, changes] of wrong.entries()) {
      expect(await site.plan({ ...key(1, attempt), ...changes })).toMatchObject({
        kind: "failed",
        code: "plan-invalid",
        key: { attempt },
      });
    }
    expect(site.coordinator.calls).toEqual([]);
  });

  it.each(["../../outside", "a/b", "", "run 1"])("covers a run whose id would be no file's name: %s", async (runId) => {
    const site = testSite(directory);
    const plan = { key: { runId, round: 1, attempt: 1 } };
    expect(await site.plan(plan)).toMatchObject({ kind: "failed", code: "plan-invalid" });
    expect(site.coordinator.calls).toEqual([]);
  });
});

describe("a participant whose training fails", () => {
  it("reports the code and goes on with the next round", async () => {
    const site = testSite(directory);
    site.trainer.failures.push(new ConsiliumError("not-finite", "the loss is not a number"));
    expect(await site.plan(key(1, 0))).toMatchObject({ kind: "failed", code: "not-finite" });
    expect(site.coordinator.reports.at(-1)).toMatchObject({ phase: "failed", code: "not-finite", clause: "" });
    expect((await site.plan(key(2, 0))).kind).toBe("done");
  });

  it("starts a lost trainer again, and gives up when it is lost again and again", async () => {
    const site = testSite(directory);
    const lost = () => new ConsiliumError("training-failed", "the trainer process was killed");
    site.trainer.failures.push(lost(), lost());
    expect((await site.plan(key(1, 0))).kind).toBe("done");
    site.trainer.failures.push(lost(), lost(), lost());
    expect(await site.plan(key(2, 0))).toMatchObject({ kind: "failed", code: "training-failed" });
  });
});
