import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lineageHolds, SmallFederation } from "../support/small-federation.js";

const sites = ["north", "south", "west"];

describe("a run that begins with the weights of a file", () => {
  let federation: SmallFederation;

  beforeAll(async () => {
    federation = await SmallFederation.create({ sites });
    await federation.start();
  }, 120_000);

  afterAll(() => federation.remove(), 60_000);

  /** What an administrator of every hospital does. */
  function allowInitial(digest: string): void {
    for (const site of sites) {
      const path = join(federation.directory, site, "policy.yaml");
      const policy = JSON.parse(readFileSync(path, "utf8")) as { model?: object };
      writeFileSync(path, JSON.stringify({ ...policy, model: { ...policy.model, initialDigests: [digest] } }));
    }
  }

  it("waits until the hospitals allow these weights, and goes on from them", async () => {
    const first = await federation.launch({ name: "first", rounds: 1 });
    await federation.finished(first);
    const out = join(federation.directory, "first");
    await federation.consilium("run", "export", first, "--out", out);
    const weights = join(out, "encoder.safetensors");

    const runId = await federation.launch({ name: "second", rounds: 2 }, ["--warm-start", weights]);
    const refused = await federation.runUntil(runId, "refused by both", ({ current }) =>
      sites.every((site) => current?.sites.some((one) => one.siteId === site && /initialDigests/.test(one.reason))),
    );
    expect(refused.history).toHaveLength(0);

    const initial = refused.summary.checkpointDigest;
    allowInitial(initial);
    const run = await federation.finished(runId);
    expect(run.history[0]!.parentDigest).toBe(initial);
    expect(lineageHolds(run)).toBe(true);
  }, 240_000);
});
