import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import { spent } from "@consilium/shared/privacy/ledger.js";
import type { RoundPlan } from "@consilium/shared/protocol.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LedgerStore } from "../privacy/ledger-store.js";
import { examplePlan, examplePolicy } from "../test-plans.js";
import { checkPlan, requireRunTerms } from "./plan-check.js";
import { testSite } from "./test-federation.js";

let root: string;
let sites = 0;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "private-site-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const config = runConfigSchema.parse({
  ...{ name: "private", modality: "dermatology", rounds: 20, monitor: { collapse: "off" } },
  model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 },
  method: { name: "mae", decoderWidth: 16, decoderBlocks: 1, decoderHeads: 2 },
  optimizer: { learningRate: 0.001 },
  training: { batchSize: 50, stepsPerRound: 5 },
  privacy: { mode: "patient", clip: 1, noiseMultiplier: 1, delta: 1e-5, leastPatients: 500 },
});
const layout = parameterLayout(config);

const privatePlan = (changes: Partial<RoundPlan> = {}): Partial<RoundPlan> => ({
  runConfigJson: canonicalJson(config),
  layoutDigest: layout.digest,
  dimension: layout.dimension,
  ...planTerms(config, layout, changes.key?.round ?? 1),
  ...changes,
});

const dp = { mode: "patient" as const, required: false, maxEpsilon: 8, delta: 1e-5, perPatientMaxImages: 7 };

function siteWith(changes: Partial<typeof dp> | "no budget", options: { patients?: number } = {}) {
  const directory = join(root, `${sites++}`);
  const site = testSite(directory, options);
  site.policy = changes === "no budget" ? examplePolicy : { ...examplePolicy, dp: { ...dp, ...changes } };
  const store = () => new LedgerStore(join(directory, "privacy"));
  const entries = () => store().read("images", { epsilon: 8, delta: 1e-5 }).entries;
  /** As another run on the same images does. */
  const spend = () => {
    const release = { id: "other/0/0", mechanism: "sampled-gaussian", noiseMultiplier: 0.5, samplingRate: 1 } as const;
    store().charge(store().read("images", { epsilon: 1000, delta: 1e-5 }), { ...release, steps: 1, orderGrid: 1 });
  };
  return { site, entries, spend };
}

describe("a private run at a site", () => {
  it("is charged before the images are read, and trained as it was charged", async () => {
    const { site, entries } = siteWith({});
    await site.plan(privatePlan());
    await site.rest();
    expect(entries()).toEqual([
      {
        ...{ id: "run-1/1/0", mechanism: "sampled-gaussian", noiseMultiplier: 1, samplingRate: 50 / 1000 },
        ...{ steps: 5, orderGrid: 1 },
      },
    ]);
    const charged = { noiseMultiplier: 1, samplingRate: 0.05, mostImagesPerPatient: 7 };
    expect(site.trainer.jobs[0]!.privacy).toEqual(charged);
    const actions = site.audit.events.map(({ action }) => action);
    expect(actions.indexOf("privacy.charged")).toBeGreaterThan(-1);
    expect(actions.indexOf("privacy.charged")).toBeLessThan(actions.indexOf("data.opened"));
  });

  it("is charged again for a second attempt that trains again", async () => {
    const { site, entries } = siteWith({});
    await site.plan(privatePlan());
    await site.rest();
    await site.plan(privatePlan({ key: { runId: "run-1", round: 2, attempt: 0 } }));
    await site.rest();
    expect(entries().map(({ id }) => id)).toEqual(["run-1/1/0", "run-1/2/0"]);
    expect(spent({ budget: { epsilon: 8, delta: 1e-5 }, entries: entries() }).epsilon).toBeGreaterThan(0);
  });

  it("L: epsilon budget exceeded is refused", async () => {
    const { site, entries } = siteWith({ maxEpsilon: 0.5 });
    const state = await site.plan(privatePlan());
    expect(state).toMatchObject({ kind: "refused", clause: "dp.maxEpsilon" });
    expect(site.trainer.jobs).toEqual([]);
    expect(entries()).toEqual([]);
    expect(site.audit.events.find(({ action }) => action === "plan.refused")?.reason).toBe("dp.maxEpsilon");
  });

  it("is not trained where the budget went elsewhere after the verdict", async () => {
    const { site, entries, spend } = siteWith({});
    const { coordinator } = site;
    const fetch = coordinator.fetchCheckpoint.bind(coordinator);
    coordinator.fetchCheckpoint = async function* (request) {
      spend();
      yield* fetch(request);
    };
    await site.plan(privatePlan());
    expect(await site.rest()).toMatchObject({ kind: "refused", clause: "dp.maxEpsilon" });
    expect(entries().map(({ id }) => id)).toEqual(["other/0/0"]);
    expect(site.trainer.jobs).toEqual([]);
  });

  it("is refused where the policy has no budget, and a run without privacy where the policy asks for it", async () => {
    expect(await siteWith("no budget").site.plan(privatePlan())).toMatchObject({ kind: "refused", clause: "dp.mode" });
    expect(await siteWith({ required: true }).site.plan()).toMatchObject({ kind: "refused", clause: "dp.mode" });
  });

  it("is refused by a site with fewer patients than its noise was made for", async () => {
    const { site } = siteWith({}, { patients: 499 });
    expect(await site.plan(privatePlan())).toMatchObject({ kind: "refused", clause: "privacy.leastPatients" });
  });

  it.each([
    ["asks for the loss", { lanes: ["weight", "steps", "loss"] }, /its lanes/],
    ["weighs sites by their images", { weightCap: 1000 }, /its weight cap/],
  ])("is refused where the plan %s", async (_name, changes, reason) => {
    const { site } = siteWith({});
    expect(await site.plan(privatePlan(changes))).toMatchObject({ kind: "failed", code: "plan-invalid" });
    expect(site.trainer.jobs).toEqual([]);
    const plan = examplePlan(privatePlan(changes));
    expect(() => requireRunTerms(plan, checkPlan(plan))).toThrow(reason);
  });
});
