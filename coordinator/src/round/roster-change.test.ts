import type { RoundPlan } from "@consilium/shared/protocol.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keyOf, settle, sites, TestFederation } from "./test-federation.js";

let federation: TestFederation;

beforeEach(() => {
  federation = new TestFederation();
});

afterEach(() => federation.remove());

const planText = (body: Uint8Array) => JSON.parse(Buffer.from(body).toString()) as RoundPlan;

describe("the roster and the rounds", () => {
  it("a plan names the roster, and who launched the run", async () => {
    await federation.launch();
    federation.attach(...sites);
    expect(planText(federation.plan.body)).toMatchObject({
      rosterVersion: 1,
      rosterDigest: { hex: "11".repeat(32) },
      launchedBy: "fed://demo/researcher/r1",
    });
  });

  it("a site that is not in the roster is not asked", async () => {
    federation.parts.strangers.add("b");
    const runId = await federation.launch();
    federation.attach(...sites);
    expect(federation.parts.offered).toEqual([]);
    expect(federation.detail(runId).current).toMatchObject({ waitingFor: "1 more site (2 of 3 here)" });
  });

  it("without a roster a run waits and says for what", async () => {
    federation.parts.membership.roster = undefined;
    for (const site of sites) federation.parts.strangers.add(site);
    const runId = await federation.launch();
    federation.attach(...sites);
    expect(federation.detail(runId).current).toMatchObject({ waitingFor: "a roster: none is published" });
  });

  it("another roster begins the attempt anew, with those that it admits and those that had refused", async () => {
    federation.parts.strangers.add("c");
    await federation.launch();
    federation.attach(...sites);
    federation.parts.strangers.clear();
    federation.parts.membership.roster = { version: 2, digest: "22".repeat(32) };
    federation.parts.queue.rosterChanged();
    expect(federation.parts.offered.map(({ siteId }) => siteId)).toEqual(sites);
    expect(planText(federation.plan.body)).toMatchObject({ rosterVersion: 2 });
    const first = keyOf(federation.plan);
    federation.parts.submissions.report(first, { kind: "refused", siteId: "a", clause: "governance.additions" });
    federation.parts.membership.roster = { version: 3, digest: "33".repeat(32) };
    federation.parts.queue.rosterChanged();
    const again = federation.parts.offered.slice(-3);
    expect(again.map(({ siteId }) => siteId)).toEqual(sites);
    expect(keyOf(again[0]!)).toMatchObject({ round: 1, attempt: first.attempt + 2 });
  });

  it("a round whose keys are exchanged is finished by the roster that it began with", async () => {
    await federation.launch(2);
    federation.attach(...sites);
    await federation.all("advertise");
    federation.parts.membership.roster = { version: 2, digest: "22".repeat(32) };
    federation.parts.queue.rosterChanged();
    for (const stage of ["share", "upload", "confirm", "unmask"] as const) await federation.all(stage);
    await settle();
    expect(keyOf(federation.plan)).toMatchObject({ round: 2, attempt: 1 });
    expect(planText(federation.plan.body)).toMatchObject({ rosterVersion: 2 });
  });
});
