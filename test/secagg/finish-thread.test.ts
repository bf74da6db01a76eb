import { rmSync } from "node:fs";
import type { FinishJob } from "@consilium/coordinator/aggregate/finish-round.js";
import { afterEach, describe, expect, it } from "vitest";
import { finishInThread } from "../../coordinator/dist/aggregate/finish-thread.js";
import { type AttemptOptions, createSites, layoutOf, planOf, runAttempt } from "./attempt.js";

/** The compiled files, as the coordinator runs them: sources cannot be loaded by a thread. */
const layout = layoutOf(20_000);
const received = planOf(layout);
const created: string[] = [];
afterEach(() => {
  for (const directory of created.splice(0)) rmSync(directory, { recursive: true, force: true });
});

async function attempt(options: Partial<AttemptOptions>) {
  const result = await runAttempt({ received, layout, sites: createSites(received, layout, 3), ...options });
  created.push(result.directory);
  return result;
}

describe("finishInThread", () => {
  it("stores the same checkpoint as on the calling thread", async () => {
    let digest = "";
    const { finished } = await attempt({
      finish: async (job) => {
        digest = (await finishInThread(job)).digest;
        return (await import("@consilium/coordinator/aggregate/finish-round.js")).finishRound(job);
      },
    });
    expect(finished.digest).toBe(digest);
  });

  it("passes the reason of a failure on", async () => {
    const run = attempt({ finish: (job) => finishInThread({ ...job, reveals: job.reveals.slice(1, 2) }) });
    await expect(run).rejects.toMatchObject({ code: "share-invalid", suspects: ["site-a", "site-c"] });
    const damaged = attempt({ finish: (job) => finishInThread({ ...job, previousDigest: "0".repeat(64) }) });
    await expect(damaged).rejects.toMatchObject({ code: "digest-mismatch" });
    const uploads = (job: FinishJob) => job.uploads.map((one) => ({ ...one, path: `${one.path}.gone` }));
    const lost = attempt({ finish: (job) => finishInThread({ ...job, uploads: uploads(job) }) });
    await expect(lost).rejects.toMatchObject({ code: "storage" });
  });

  it("stops when it is told to", async () => {
    const abort = new AbortController();
    const run = attempt({
      finish: (job) => {
        const running = finishInThread(job, abort.signal);
        abort.abort();
        return running;
      },
    });
    await expect(run).rejects.toMatchObject({ name: "AbortedError" });
  });
});
