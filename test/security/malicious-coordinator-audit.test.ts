import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { SiteSession } from "@consilium/site-agent/secagg/site-session.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type TestSite, testSite } from "../../site-agent/src/round/test-federation.js";
import { testFloors, testMember } from "../../site-agent/src/secagg/test-cohort.js";
import { exampleConfig, examplePlan, received } from "../../site-agent/src/test-plans.js";
import { MaliciousCoordinator } from "../support/malicious-coordinator.js";

/** The agent's own participant, whole, before a coordinator that lies in one answer. */

const { identity } = testMember("site-a");
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "malicious-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function victim(coordinator: MaliciousCoordinator): TestSite {
  return testSite(directory, {
    coordinator,
    openSession: (plan, floors, ledger) =>
      new SiteSession({
        ...{ received: plan, siteId: "site-a", identity, entropy: systemEntropy, ledger },
        floors: { ...floors, members: testFloors.members },
      }),
  });
}

const key = (round: number, attempt: number) => ({ key: { runId: "run-1", round, attempt } });

async function play(site: TestSite, coordinator: MaliciousCoordinator, round: number, attempt: number) {
  const plan = key(round, attempt);
  coordinator.begin(received(examplePlan(plan)));
  return site.plan(plan);
}

const attacks = (site: TestSite) => site.audit.events.filter(({ action }) => action === "attack.suspected");

describe("an agent whose coordinator lies", () => {
  it("plays a round with other sites when it does not", async () => {
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c"]);
    const site = victim(coordinator);
    expect((await play(site, coordinator, 1, 1)).kind).toBe("done");
    expect(site.rejected).toEqual([]);
    expect(attacks(site)).toEqual([]);
  });

  it("L: a dropped own advert is refused, counted and audited, and the agent takes the next plan", async () => {
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c", "site-d"]);
    const site = victim(coordinator);
    coordinator.twists.advertise = (honest) => {
      if (honest.kind !== "advertised") return honest;
      const adverts = honest.advertised.adverts.filter(({ siteId }) => siteId !== "site-a");
      return { kind: "advertised", advertised: { ...honest.advertised, adverts } };
    };
    expect(await play(site, coordinator, 1, 1)).toMatchObject({ kind: "failed", code: "message-conflict" });
    expect(site.rejected).toEqual(["own-advert"]);
    expect(attacks(site)).toMatchObject([
      { object: { run: "run-1", round: 1, attempt: 1, check: "own-advert" }, outcome: "refused" },
    ]);
    expect(coordinator.calls).not.toContain("share 1/1");
    delete coordinator.twists.advertise;
    coordinator.twists.share = () => ({ kind: "aborted", reason: "too-few-shares" });
    expect((await play(site, coordinator, 1, 2)).kind).toBe("left");
    expect(site.audit.actions).toContain("attempt.ended");
  });

  it("L: a hospital of the roster that the run does not name is refused among the advertisers", async () => {
    const sites = ["site-a", "site-b", "site-c"];
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c", "site-d"]);
    const site = victim(coordinator);
    const config = { ...exampleConfig, cohort: { ...exampleConfig.cohort, sites } };
    const plan = { ...key(1, 1), runConfigJson: canonicalJson(config) };
    coordinator.begin(received(examplePlan(plan)));
    expect(await site.plan(plan)).toMatchObject({ kind: "failed", code: "message-conflict" });
    expect(site.rejected).toEqual(["adverts-of-run"]);
    expect(coordinator.calls).not.toContain("share 1/1");
  });

  it("L: a second U3 for one attempt is refused for ever, also by a new process, and audited as an attack", async () => {
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c", "site-d"]);
    const site = victim(coordinator);
    const second = ["site-a", "site-b", "site-c"];
    coordinator.twists.confirm = () => ({ kind: "survivors", uploads: coordinator.attempt.survivors(second) });
    expect((await play(site, coordinator, 1, 1)).kind).toBe("failed");
    expect(attacks(site)).toMatchObject([{ object: { attempt: 1, check: "survivors-once" }, outcome: "refused" }]);
    expect(coordinator.calls.filter((call) => call.startsWith("confirm"))).toHaveLength(1);
    // The attempt again, with keys that the coordinator hopes are forgotten.
    await site.participant.stop();
    const restarted = victim(coordinator);
    expect(await play(restarted, coordinator, 1, 1)).toMatchObject({ kind: "left", cause: "restarted" });
    expect(coordinator.calls.filter((call) => call.startsWith("advertise"))).toEqual(["advertise 1/1"]);
  });

  it("does not confirm the same survivors without end", async () => {
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c"]);
    const site = victim(coordinator);
    coordinator.twists.confirm = () => ({ kind: "survivors", uploads: coordinator.attempt.survivors() });
    expect(await play(site, coordinator, 1, 1)).toMatchObject({ kind: "failed", code: "plan-invalid" });
    expect(attacks(site)).toEqual([]);
  });

  it("L: a replayed attempt or round is refused by a new process, and nothing is sent", async () => {
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c"]);
    const site = victim(coordinator);
    expect((await play(site, coordinator, 2, 2)).kind).toBe("done");
    const sent = coordinator.calls.length;
    for (const [round, attempt] of [
      [2, 1],
      [1, 9],
    ] as const) {
      const restarted = victim(coordinator);
      expect(await play(restarted, coordinator, round, attempt)).toMatchObject({ kind: "failed", code: "stale" });
      expect(restarted.audit.events.at(-1)).toMatchObject({ action: "attempt.ended", reason: "stale" });
    }
    expect(coordinator.calls).toHaveLength(sent);
  });

  it("L: endless attempts end at the policy's number of uploads", async () => {
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c"]);
    const site = victim(coordinator);
    coordinator.twists.share = () => ({ kind: "aborted", reason: "too-few-shares" });
    for (const attempt of [1, 2, 3, 4, 5]) expect((await play(site, coordinator, 1, attempt)).kind).toBe("left");
    delete coordinator.twists.share;
    coordinator.twists.upload = () => ({ kind: "aborted", reason: "too-few-uploads" });
    for (const attempt of [6, 7, 8]) expect((await play(site, coordinator, 1, attempt)).kind).toBe("left");
    expect(await play(site, coordinator, 1, 9)).toMatchObject({ kind: "refused", clause: "secagg.maxAttempts" });
    expect(site.rejected).toEqual(["attempts-left"]);
    expect((await play(site, coordinator, 2, 1)).kind).toBe("left");
  });

  it("L: endless attempts in which nothing is uploaded end, too", async () => {
    const coordinator = new MaliciousCoordinator("site-a", ["site-b", "site-c"]);
    const site = victim(coordinator);
    coordinator.twists.share = () => ({ kind: "aborted", reason: "too-few-shares" });
    for (let attempt = 1; attempt <= 30; attempt++) {
      expect((await play(site, coordinator, 1, attempt)).kind).toBe("left");
    }
    const sent = coordinator.calls.length;
    expect(await play(site, coordinator, 1, 31)).toMatchObject({ kind: "refused", clause: "secagg.maxAttempts" });
    expect(site.rejected).toEqual(["attempts-begun"]);
    expect(coordinator.calls.slice(sent)).not.toContain("advertise 1/31");
    expect((await play(site, coordinator, 2, 1)).kind).toBe("left");
  });
});
