import { planContext, type RoundPlan } from "@consilium/shared/protocol.js";
import { abortSignatureInput } from "@consilium/shared/secagg/transcript.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { privacySpent } from "./privacy-ledger.js";
import { parseStoredConfig } from "./run-file.js";
import { keyOf, settle, sites, TestFederation } from "./test-federation.js";
import { advertOf, identities } from "./test-messages.js";

let federation: TestFederation;
beforeEach(async () => {
  federation = new TestFederation();
  await federation.parts.queue.start();
});
afterEach(() => federation.remove());

/** So little noise that the smallest model learns from two sites; ε is beyond all meaning. */
const noise = "monitor: { collapse: 'off' }\nprivacy: { mode: site, clip: 1, delta: 1.0e-6, noiseMultiplier: 0.002";
const hiding = (more = "") => `${noise}${more} }\n`;

const releases = (runId: string) =>
  federation.parts.store.listReleases(runId).map((json) => JSON.parse(json) as Record<string, unknown>);

const summary = (runId: string) => federation.detail(runId).summary;

function planned(): RoundPlan {
  return JSON.parse(Buffer.from(federation.plan.body).toString()) as RoundPlan;
}

async function begin(rounds: number, more = ""): Promise<string> {
  federation.attach(...sites);
  return federation.launch(rounds, hiding(more));
}

/** Nobody uploads until the deadline, so that the next attempt begins; all say so and finish that one. */
async function loseOneAndPlayTheNext(): Promise<void> {
  const { plan: lost } = federation;
  federation.clock.advance(10_000);
  federation.clock.advance(60_000);
  const { plan } = federation;
  const said = sites.map((siteId) => {
    const signature = identities.get(siteId)!.sign(abortSignatureInput(planContext(lost.body)));
    const aborts = [{ siteId, attempt: keyOf(lost).attempt, signature }];
    const value = { advert: advertOf(siteId, plan.body), aborts };
    return federation.send(siteId, "advertise", { key: keyOf(plan), value });
  });
  await Promise.all(said);
  for (const stage of ["share", "upload", "confirm", "unmask"] as const) await federation.all(stage);
}

async function committed(runId: string, rounds: number): Promise<void> {
  while (summary(runId).roundsDone < rounds) await settle();
}

describe("a run that hides sites, at the coordinator", () => {
  it("is charged in the write that opens the upload stage, and not before", async () => {
    const runId = await begin(2);
    await federation.all("advertise");
    expect(releases(runId)).toEqual([]);
    await federation.all("share");
    expect(releases(runId)).toEqual([
      {
        ...{ id: `${runId}/1/1`, mechanism: "skellam", noiseMultiplier: 0.002, steps: 1, orderGrid: 1 },
        ...{ scale: 2 ** 20, dimension: planned().dimension },
      },
    ]);
  });

  it("stays charged when the coordinator is killed between charge and upload, and is not charged twice", async () => {
    const runId = await begin(2);
    await federation.all("advertise");
    await federation.all("share");
    await federation.restart();
    expect(releases(runId)).toHaveLength(1);
    federation.attach(...sites);
    await federation.all("upload", sites, { plan: { body: federation.parts.store.newestAttempt(runId)!.planBody } });
    expect(releases(runId)).toHaveLength(1);
  });

  it("pays for lost attempts, and pauses before a round that would pass its budget, resumed or not", async () => {
    const runId = await begin(2);
    await federation.all("advertise");
    await federation.all("share");
    await loseOneAndPlayTheNext();
    await committed(runId, 1);
    expect(releases(runId).map(({ id }) => id)).toEqual([`${runId}/1/1`, `${runId}/1/2`]);
    expect(summary(runId)).toMatchObject({ status: "paused", roundsDone: 1 });
    expect(summary(runId).statusReason).toMatch(/privacy budget is spent: .* lost attempts count/);
    expect(federation.parts.paused).toEqual(["privacy-budget"]);
    federation.parts.queue.resume(runId);
    await settle();
    expect(summary(runId)).toMatchObject({ status: "paused", roundsDone: 1 });
    expect(releases(runId)).toHaveLength(2);
  });

  it("goes on after a lost attempt where its budget has room", async () => {
    const runId = await begin(2, ", maxEpsilon: 1.0e+9");
    await federation.all("advertise");
    await federation.all("share");
    await loseOneAndPlayTheNext();
    await committed(runId, 1);
    await federation.playRound();
    await committed(runId, 2);
    expect(summary(runId)).toMatchObject({ status: "completed", roundsDone: 2 });
    expect(releases(runId)).toHaveLength(3);
    const config = parseStoredConfig(runId, federation.detail(runId).configJson);
    const { dimension } = planned();
    const known = privacySpent(federation.parts.store, { runId, config, dimension })!;
    expect(known.epsilon).toBeGreaterThan(0);
    expect(known.withNext).toBeGreaterThan(known.epsilon);
    expect(keyOf(federation.plan)).toMatchObject({ round: 2 });
  });

  it("is not charged where nothing is hidden", async () => {
    federation.attach(...sites);
    const runId = await federation.launch(1);
    await federation.playRound();
    expect(summary(runId).status).toBe("completed");
    expect(releases(runId)).toEqual([]);
  });
});

describe("a private run that could learn nothing", () => {
  const patients =
    "monitor: { collapse: 'off' }\nprivacy: { mode: patient, clip: 1, delta: 1.0e-6, epsilon: 0.01, leastPatients: 20 }\n";

  it.each([
    ["of sites", noise.replace("0.002", "3"), " }\n"],
    ["of patients", patients.replace("monitor", "method: { name: mae }\nmonitor"), ""],
  ])("%s is not admitted, whatever the command line let through", async (_name, start, end) => {
    const { queue } = federation.parts;
    const base = "name: t\nmodality: dermatology\nmodel: { architecture: vit-nano, imageSize: 16, patchSize: 8 }\n";
    const method = start.includes("method:") ? "" : "method: { name: simclr, projectionDim: 8 }\n";
    const rest = "optimizer: { learningRate: 0.001 }\ntraining: { batchSize: 2, stepsPerRound: 2 }\nrounds: 3\n";
    const configYaml = `${base}${method}${rest}${start}${end}`;
    const launch = queue.launch({ requestId: "r", configYaml, launchedBy: "fed://demo/researcher/r1" });
    await expect(launch).rejects.toMatchObject({
      code: "policy-refused",
      message: expect.stringMatching(/private training would fail/),
    });
    expect(queue.list()).toEqual([]);
  });

  it("or whose rounds cost more than it may spend is not admitted", async () => {
    await expect(federation.launch(2, hiding(", maxEpsilon: 1"))).rejects.toMatchObject({
      code: "policy-refused",
      message: expect.stringMatching(/all rounds would cost/),
    });
  });
});
