import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import type { RoundPlan } from "@consilium/shared/protocol.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Policy } from "../policy.js";
import { LedgerStore } from "../privacy/ledger-store.js";
import { exampleConfig, examplePolicy } from "../test-plans.js";
import { testSite } from "./test-federation.js";

let root: string;
let sites = 0;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "hidden-site-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** So little noise that three sites can learn; ε is beyond all meaning. */
const config: typeof exampleConfig = {
  ...exampleConfig,
  monitor: { ...exampleConfig.monitor, collapse: "off" },
  cohort: { ...exampleConfig.cohort, maxSites: 3 },
  privacy: { mode: "site", clip: 2, noiseMultiplier: 0.002, delta: 1e-5 },
};
const layout = checkpointLayout(config);

const planOf = (changes: Partial<RoundPlan> = {}, of: typeof exampleConfig = config): Partial<RoundPlan> => ({
  ...planTerms(of, layout, 1),
  runConfigJson: canonicalJson(of),
  ...changes,
});

const maxEpsilon = 1e9;
type PrivacyPolicy = NonNullable<Policy["dp"]>;
const dp: Extract<PrivacyPolicy, { mode: "site" }> = { mode: "site", required: false, maxEpsilon, delta: 1e-5 };

function siteWith(policy: PrivacyPolicy | "no budget" = dp) {
  const directory = join(root, `${sites++}`);
  const site = testSite(directory);
  site.policy = policy === "no budget" ? examplePolicy : { ...examplePolicy, dp: policy };
  const ledgers = new LedgerStore(join(directory, "privacy"));
  const entries = () => ledgers.read("site", { epsilon: maxEpsilon, delta: 1e-5 }, "site").entries;
  return { site, entries };
}

const charge = (id: string) => ({
  ...{ id, mechanism: "skellam", noiseMultiplier: 0.002, scale: 2 ** 20, dimension: layout.dimension, steps: 1 },
  orderGrid: 1,
});

describe("a run that hides sites, at a site", () => {
  it("is trained as any other, and charged before its update leaves", async () => {
    const { site, entries } = siteWith();
    await site.plan(planOf());
    expect(await site.rest()).toMatchObject({ kind: "done" });
    expect(entries()).toEqual([charge("run-1/1/0")]);
    expect(site.trainer.jobs[0]!.privacy).toBeUndefined();
    const actions = site.audit.events.map(({ action }) => action);
    expect(actions.indexOf("privacy.charged")).toBeGreaterThan(actions.indexOf("data.opened"));
    expect(site.coordinator.calls).toContain("upload 1/0");
  });

  it("is charged for an attempt that is lost after the upload, and again for the next", async () => {
    const { site, entries } = siteWith();
    site.coordinator.answers.upload = [{ kind: "aborted", reason: "lost" }];
    await site.plan(planOf());
    await site.rest();
    await site.plan(planOf({ key: { runId: "run-1", round: 1, attempt: 1 } }));
    await site.rest();
    expect(entries()).toEqual([charge("run-1/1/0"), charge("run-1/1/1")]);
  });

  it("is not charged for an attempt that ends before the upload", async () => {
    const { site, entries } = siteWith();
    site.coordinator.answers.share = [{ kind: "aborted", reason: "lost" }];
    await site.plan(planOf());
    await site.rest();
    expect(entries()).toEqual([]);
  });

  it("is refused at the upload when its budget was spent meanwhile, and nothing leaves", async () => {
    const { site, entries } = siteWith();
    const ledgers = new LedgerStore(join(root, `${sites - 1}`, "privacy"));
    site.trainer.gate = new Promise((resolve) => {
      const budget = { epsilon: 1e12, delta: 1e-5 };
      const spending = { ...charge("another/0/0"), noiseMultiplier: 1e-5 };
      setTimeout(() => {
        ledgers.charge(ledgers.read("site", budget, "site"), spending as Parameters<LedgerStore["charge"]>[1]);
        resolve();
      }, 5);
    });
    expect(await site.plan(planOf())).toMatchObject({ kind: "refused", clause: "dp.maxEpsilon" });
    expect(site.coordinator.calls).not.toContain("upload 1/0");
    expect(entries().map(({ id }) => id)).toEqual(["another/0/0"]);
  });

  it("is refused where all its rounds would pass the budget", async () => {
    const { site } = siteWith({ ...dp, maxEpsilon: 10 });
    expect(await site.plan(planOf())).toMatchObject({ kind: "refused", clause: "dp.maxEpsilon" });
    expect(site.trainer.jobs).toEqual([]);
  });

  it("is refused with less noise than the policy asks for", async () => {
    const { site } = siteWith({ ...dp, minNoiseMultiplier: 0.0021 });
    expect(await site.plan(planOf())).toMatchObject({ kind: "refused", clause: "dp.minNoiseMultiplier" });
    expect(await siteWith({ ...dp, minNoiseMultiplier: 0.002 }).site.plan(planOf())).toMatchObject({ kind: "done" });
  });

  it("is refused where the policy has no budget for it, or one for patients", async () => {
    expect(await siteWith("no budget").site.plan(planOf())).toMatchObject({ kind: "refused", clause: "dp.mode" });
    const patients = { mode: "patient", required: false, maxEpsilon, delta: 1e-5 } as const;
    expect(await siteWith(patients).site.plan(planOf())).toMatchObject({ kind: "refused", clause: "dp.mode" });
  });

  it("is refused where noise leaves nothing to learn", async () => {
    const hopeless = { ...config, privacy: { ...config.privacy, noiseMultiplier: 1 } } as typeof config;
    const { site } = siteWith();
    expect(await site.plan(planOf({}, hopeless))).toMatchObject({ kind: "refused", clause: "privacy.noise" });
  });

  it.each([
    ["smaller sums than its noise is for", { minCohort: 2 }, { cohort: { ...config.cohort, minSites: 3 } }],
    ["larger cohorts than fit the sum", { cohortSize: 128 }, {}],
    ["more colluders than its noise is for", { colluders: 1 }, {}],
  ])("is refused where the plan has %s", async (_name, changes, run) => {
    const { site } = siteWith();
    site.policy = { ...examplePolicy, secagg: { ...examplePolicy.secagg, minCohort: 2 }, dp };
    const of = { ...config, ...run };
    expect(await site.plan(planOf(changes, of))).toMatchObject({ kind: "failed", code: "plan-invalid" });
    expect(site.trainer.jobs).toEqual([]);
  });

  it.each([
    ["how many steps a site took", { lanes: ["weight", "steps"] }],
    ["for a longer update", { l2Clip: 3 }],
    ["for coordinates cut elsewhere", { tensorClips: layout.parameters.map(() => 1) }],
  ])("is refused where the plan asks %s", async (_name, changes) => {
    const { site } = siteWith();
    expect(await site.plan(planOf(changes))).toMatchObject({ kind: "failed", code: "plan-invalid" });
  });
});
