import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HostileFederation } from "../support/hostile-federation.js";
import { beginParts, playOut, readyToUpload } from "../support/hostile-rounds.js";
import { requireKind } from "../support/hostile-site.js";

/** Real sites over real connections, whose own ledgers refuse a sum that would tell a lost one apart. */

const cohort = ["east", "north", "south", "west"];
const others = ["xenia", "yard"];
let federation: HostileFederation;
let runId: string;

beforeAll(async () => {
  const times = { graceMs: 100, recoveryGraceMs: 1_000 };
  federation = await HostileFederation.start([...cohort, ...others], {}, times);
}, 60_000);
afterAll(() => federation.stop(), 20_000);

const siteNamed = (siteId: string) => federation.sitesNamed([siteId])[0]!;

/** Only the cohort is there. */
beforeEach(async () => {
  await Promise.all(federation.sites.map((site) => site.detach()));
  for (const site of federation.sitesNamed(cohort)) site.attach();
});
afterEach(() => federation.stopRuns());

const second = { attempt: 2 };

/** All confirm that the sum is over them; then two have lost their secrets, which is one too many to unmask it. */
async function loseConfirmed(trainingSeconds = 60): Promise<void> {
  const deadlines = { trainingSeconds, stageSeconds: 30 };
  runId = await federation.launch({ cohort: { minSites: 3, colluders: 1 }, deadlines }, cohort);
  const parts = await beginParts(federation, runId, {}, cohort);
  const ready = await readyToUpload(parts);
  const uploaded = ready.map(async ({ part, delivered }) => {
    return part.confirm(requireKind(await part.upload(part.masked(delivered.delivered)), "survivors"));
  });
  await Promise.all(uploaded);
  const lost = { phase: "failed", code: "attempt-aborted", clause: "", stepsDone: 0, accused: "" } as const;
  const reports = parts
    .slice(0, 2)
    .map(({ site, key }) => site.client.report({ key, ...lost }, AbortSignal.timeout(10_000)));
  await Promise.all(reports);
}

async function playSecond(sites: readonly string[]): Promise<void> {
  const outcomes = await playOut(await beginParts(federation, runId, second, sites));
  for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: "result", cohort: sites });
  expect(await federation.committed(runId)).toMatchObject({ attempts: 2, cohort: sites });
}

describe("a round whose confirmed attempt was lost", () => {
  it("goes on with the same sites", async () => {
    await loseConfirmed();
    await playSecond(cohort);
  }, 30_000);

  it("waits for a site that vanished, and goes on when it is back", async () => {
    await loseConfirmed();
    await siteNamed("west").detach();
    expect(await federation.waitsFor(runId, "west or 1 other site: in attempt 1")).toContain(
      "confirmed a sum with west",
    );
    siteNamed("west").attach();
    await playSecond(cohort);
  }, 30_000);

  it("goes on without a site that never returns once enough others came, and no site minds", async () => {
    await loseConfirmed();
    await siteNamed("west").detach();
    await federation.waitsFor(runId, "west or 1 other site");
    for (const site of federation.sitesNamed(others)) site.attach();
    const record = federation.committed(runId);
    const offered = await siteNamed("xenia").planOf(runId, second);
    expect(offered.plan.key.attempt).toBe(2);
    const sites = Object.keys(await membersOf(second.attempt));
    await playSecond(sites);
    expect((await record).cohort).not.toContain("west");
  }, 30_000);

  it("pauses with the reason when it never returns", async () => {
    await loseConfirmed(12);
    await siteNamed("west").detach();
    expect(await federation.paused(runId)).toBe(
      "waited in vain for west or 1 other site: in attempt 1, which was lost, sites confirmed a sum with west",
    );
  }, 30_000);
});

async function membersOf(attempt: number): Promise<Record<string, unknown>> {
  const { current } = await federation.admin("researcher").getRun(runId);
  expect(current?.attempt).toBe(attempt);
  return Object.fromEntries((current?.sites ?? []).map((site) => [site.siteId, site]));
}
