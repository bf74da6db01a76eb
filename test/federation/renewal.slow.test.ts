import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lineageHolds, SmallFederation } from "../support/small-federation.js";

const sites = ["north", "south", "west"];
const rounds = 20;

/** Certificates of a minute, of sites and coordinator, and lists of revoked ones of half a minute. */
describe("a run that outlasts its certificates", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites });
    await federation.initialise();
    const path = join(federation.coordinatorHome, "coordinator.yaml");
    const text = readFileSync(path, "utf8").replaceAll(": 30d", ": 60s");
    writeFileSync(path, text.replace("certificates:\n", "certificates:\n  revocationList: 30s\n"));
    await federation.startCoordinator();
    for (const hospital of federation.hospitals) {
      await federation.join(hospital);
      // At once: its certificate lasts a minute.
      federation.startAgent(hospital.id);
    }
    await federation.admit(...sites);
  }, 180_000);

  afterAll(() => federation.remove(), 60_000);

  it("commits every round at the first attempt, while each site renews several times", async () => {
    const training = { batchSize: 16, stepsPerRound: 12 };
    const runId = await federation.launch({ name: "renewing", rounds, training, cohort: { minSites: 3 } });
    const run = await federation.finished(runId, 500_000);
    expect(run.history).toHaveLength(rounds);
    expect(run.history.map(({ attempts }) => attempts)).toEqual(Array(rounds).fill(1));
    expect(run.history.flatMap(({ dropped }) => dropped)).toEqual([]);
    expect(run.history.every(({ cohort }) => cohort.length === sites.length)).toBe(true);
    expect(lineageHolds(run)).toBe(true);
    for (const site of sites) expect(certificatesOf(site)).toBeGreaterThanOrEqual(3);
    const log = readFileSync(join(federation.directory, "logs", "coordinator.log"), "utf8");
    expect(log.match(/"certificate-renewed"/g)!.length).toBeGreaterThanOrEqual(2);
  }, 520_000);

  function certificatesOf(siteId: string): number {
    const database = new Database(join(federation.coordinatorHome, "coordinator.db"), { readonly: true });
    try {
      const count = database.prepare<[string], { n: number }>(
        "SELECT count(*) AS n FROM certificates WHERE site_id = ?",
      );
      return count.get(siteId)!.n;
    } finally {
      database.close();
    }
  }
});
