import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { auditObjects } from "../audit/audit-entry.js";
import { newDirectory, testLog } from "../audit/test-log.js";
import { examplePolicy } from "../test-plans.js";
import { testSite } from "./test-federation.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "round-audit-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const full = () => new ConsiliumError("storage", "the audit log cannot be written (ENOSPC)");

describe("the audit entries of a round", () => {
  it("tell what came, what was opened and how it ended", async () => {
    const { audit, ...site } = testSite(directory);
    await site.plan();
    const about = { run: "run-1", round: 1, attempt: 0 };
    expect(audit.events).toMatchObject([
      { action: "plan.received", object: about, actor: "coordinator", corrId: "run-1/1/0" },
      { action: "plan.accepted", object: about, corrId: "run-1/1/0" },
      { action: "model.received", object: { ...about, bytes: 4096 } },
      { action: "data.opened", object: { ...about, images: 100, dataset: expect.stringMatching(/^[0-9a-f]{16}$/) } },
      { action: "attempt.ended", object: about },
    ]);
    const log = testLog(newDirectory());
    for (const event of audit.events) log.record(event);
    log.close();
    expect(audit.actions.every((action) => action in auditObjects)).toBe(true);
  });

  it("name the clause that refused", async () => {
    const site = testSite(directory);
    site.policy = { ...examplePolicy, federation: "other" };
    await site.plan();
    expect(site.audit.events.at(-1)).toMatchObject({
      ...{ action: "plan.refused", outcome: "refused", reason: "federation", corrId: "run-1/1/0" },
    });
    expect(site.audit.actions).not.toContain("plan.accepted");
  });

  it("name the code of a failure, and why an attempt was left", async () => {
    const site = testSite(directory);
    site.trainer.failures.push(new ConsiliumError("not-enough-data", "the folder is empty"));
    site.coordinator.answers.advertise = [{ kind: "dropped", reason: "Mustermann Max" }];
    await site.plan({ key: { runId: "run-1", round: 1, attempt: 0 } });
    expect(site.audit.events.at(-1)).toMatchObject({ outcome: "failure", reason: "not-enough-data" });
    await site.plan({ key: { runId: "run-1", round: 1, attempt: 1 } });
    expect(site.audit.events.at(-1)).toMatchObject({ outcome: "failure", reason: "dropped" });
    expect(JSON.stringify(site.audit.events)).not.toContain("Mustermann");
  });

  it("are needed: without one no plan is followed and no image is opened", async () => {
    const site = testSite(directory);
    site.audit.failure = full();
    expect(await site.plan()).toMatchObject({ kind: "failed", code: "storage" });
    expect(site.coordinator.calls).toEqual([]);
    expect(site.trainer.jobs).toEqual([]);
    site.audit.failure = undefined;
    expect((await site.plan({ key: { runId: "run-1", round: 2, attempt: 0 } })).kind).toBe("done");
  });
});
