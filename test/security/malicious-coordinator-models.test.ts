import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import type { SignedUpload } from "@consilium/shared/protocol.js";
import type { ModelRequest } from "@consilium/site-agent/chain/model-chain.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { examplePolicy } from "../../site-agent/src/test-plans.js";
import { config, digestOf, type Forgery, layout, ModelHistory, openChain, uploadsOf } from "./model-history.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "consilium-models-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const refusal = (clause: string) => expect.objectContaining({ code: "policy-refused", clause });

/** The history of one honest round and one that is forged; whoever follows it must refuse. */
async function forged(forgery: Forgery): Promise<ModelHistory> {
  const history = await ModelHistory.begin(directory);
  await history.commit();
  await history.commit(forgery);
  return history;
}

describe("a site works its models out itself", () => {
  it("from the seed and the sums, byte for byte, and fetches no checkpoint", async () => {
    const history = await ModelHistory.begin(directory);
    const chain = openChain(directory);
    expect(digestOf((await chain.obtain(history.request(history.plan()))).path)).toBe(history.current.digest);
    expect(history.fetched).toEqual([]);
    await history.commit();
    const second = await chain.obtain(history.request(history.plan()));
    expect(digestOf(second.path)).toBe(history.current.digest);
    expect(digestOf(second.earlierPath!)).not.toBe(history.current.digest);
    expect(history.fetched).toHaveLength(1);
    const again = await openChain(directory).obtain(history.request(history.plan()));
    expect(again).toEqual({ ...second, isNew: false });
    expect(history.fetched).toHaveLength(1);
  });

  it("also when it joins late, missed rounds, or lost its files", async () => {
    const history = await ModelHistory.begin(directory);
    await openChain(directory).obtain(history.request(history.plan()));
    for (let round = 0; round < 3; round++) await history.commit();
    for (const name of ["site", "late"]) {
      const { path } = await openChain(directory, name).obtain(history.request(history.plan()));
      expect(digestOf(path)).toBe(history.current.digest);
      const kept = readdirSync(join(directory, name, "checkpoints"));
      expect(kept.filter((file) => !file.endsWith(".safetensors"))).toEqual([]);
    }
    rmSync(join(directory, "site", "checkpoints"), { recursive: true });
    const { path } = await openChain(directory).obtain(history.request(history.plan()));
    expect(digestOf(path)).toBe(history.current.digest);
  });

  it("and begins with other weights than the seed's where its policy names them", async () => {
    const values = () => [new Float32Array(layout.dimension).fill(0.25)];
    const history = await ModelHistory.begin(directory, values(), "f".repeat(64));
    history.policy = { ...examplePolicy, model: { ...examplePolicy.model, initialDigests: [history.current.digest] } };
    const { path } = await openChain(directory).obtain(history.request(history.plan()));
    expect(digestOf(path)).toBe(history.current.digest);
  });
});

describe("a coordinator that lies about the model", () => {
  it("L: unapproved initial model", async () => {
    const history = await ModelHistory.begin(directory, [new Float32Array(layout.dimension).fill(0.25)]);
    const obtaining = openChain(directory).obtain(history.request(history.plan()));
    await expect(obtaining).rejects.toEqual(refusal("model.initialDigests"));
    expect(history.fetched).toEqual([]);
  });

  it("L: NaN weights to begin with, though their digest is approved", async () => {
    const values = new Float32Array(layout.dimension);
    values[layout.dimension - 1] = Number.NaN;
    const history = await ModelHistory.begin(directory, [values]);
    history.policy = { ...examplePolicy, model: { ...examplePolicy.model, initialDigests: [history.current.digest] } };
    const obtaining = openChain(directory).obtain(history.request(history.plan()));
    await expect(obtaining).rejects.toEqual(refusal("model.aggregate"));
  });

  const wrong = new Uint8Array(32).fill(9);
  const terms = planTerms(config, layout, 2);
  it.each<[string, Forgery["result"] & object, string]>([
    ["wrong model hash", { checkpointDigest: wrong }, "model.recomputed"],
    [
      "NaN weights, through a clip that is none",
      { tensorClips: terms.tensorClips.map(() => Number.NaN) },
      "model.terms",
    ],
    ["changed clips", { tensorClips: terms.tensorClips.map((clip) => 4 * clip) }, "model.terms"],
    ["changed lanes", { lanes: [...terms.lanes].reverse() }, "model.terms"],
    ["changed weight cap", { weightCap: terms.weightCap + 1 }, "model.terms"],
    ["changed server optimiser", { serverOptimizer: "fedadam" }, "model.terms"],
    ["a sum over too few sites", { cohort: ["site-a", "site-b"] }, "model.terms"],
    ["a cohort that names a site twice", { cohort: ["site-a", "site-a", "site-b"] }, "model.terms"],
    ["more sites in the sum than advertised", { advertisers: 2 }, "model.terms"],
    ["result that does not chain: another result before", { previousResultDigest: wrong }, "model.chain"],
    ["result that does not chain: another model before", { previousCheckpointDigest: wrong }, "model.chain"],
    ["result of another run", { key: { runId: "run-2", round: 2, attempt: 1 } }, "model.chain"],
  ])("L: %s", async (_, result, clause) => {
    const history = await forged({ result });
    await expect(openChain(directory).obtain(history.request(history.plan()))).rejects.toEqual(refusal(clause));
  });

  it("L: trap-scale weights", async () => {
    const history = await forged({ mean: (i) => (i % 2 === 0 ? 0.9 : -0.9) });
    const { model } = examplePolicy;
    const of = async (limits: Partial<typeof model>) => {
      history.policy = { ...examplePolicy, model: { ...model, ...limits } };
      return openChain(directory).obtain(history.request(history.plan()));
    };
    await expect(of({ maxUpdateL2: 0.1 })).rejects.toEqual(refusal("model.maxUpdateL2"));
    await expect(of({ maxTensorChange: 1e-3 })).rejects.toEqual(refusal("model.maxTensorChange"));
  });

  it("L: a sum that no honest sites can have made", async () => {
    const heavy = (ringBound: number) => terms.lanes.map((name) => (name === "weight" ? ringBound : 0));
    const history = await forged({ lanes: heavy });
    await expect(openChain(directory).obtain(history.request(history.plan()))).rejects.toEqual(
      refusal("model.aggregate"),
    );
  });

  it("L: plan that follows another result, or begins from another model, than the history leads to", async () => {
    const history = await ModelHistory.begin(directory);
    await history.commit();
    const chain = openChain(directory);
    for (const change of [{ previousResultDigest: wrong }, { checkpointDigest: wrong }]) {
      await expect(chain.obtain(history.request(history.plan(change)))).rejects.toEqual(refusal("model.chain"));
    }
    const incomplete = history.request(history.plan({ key: { runId: "run-1", round: 3, attempt: 1 } }));
    await expect(chain.obtain(incomplete)).rejects.toEqual(refusal("model.chain"));
    expect(history.fetched).toEqual([]);
  });

  it("L: round rollback, and a second history of rounds that the site has followed", async () => {
    const history = await ModelHistory.begin(directory);
    await history.commit();
    await openChain(directory).obtain(history.request(history.plan()));
    const earlier = history.plan({ key: { runId: "run-1", round: 1, attempt: 2 } });
    const rollback = openChain(directory).obtain(history.request(earlier));
    await expect(rollback).rejects.toEqual(refusal("model.chain"));
    await expect(rollback).rejects.toThrow(/the plan is for an earlier round/);
    const other = await ModelHistory.begin(join(directory, "other"));
    await other.commit({ mean: () => 0.02 });
    rmSync(join(directory, "site", "checkpoints"), { recursive: true });
    await expect(openChain(directory).obtain(other.request(other.plan()))).rejects.toEqual(refusal("model.chain"));
  });

  it("L: result of another sum than the site helped to unmask", async () => {
    const other = await confirmed(uploadsOf(["site-a", "site-b", "site-d"]));
    await expect(openChain(directory).obtain(other)).rejects.toEqual(refusal("model.chain"));
  });

  it("L: result over other uploads of the same sites than the site confirmed", async () => {
    const honest = await confirmed(uploadsOf(["site-c", "site-a", "site-b"]));
    expect((await openChain(directory).obtain(honest)).isNew).toBe(true);
    rmSync(directory, { recursive: true });
    const other = await confirmed(uploadsOf(["site-a", "site-b", "site-c"], 8));
    await expect(openChain(directory).obtain(other)).rejects.toEqual(refusal("model.chain"));
  });

  it.each<[string, Forgery["result"] & object]>([
    ["other sites for the same uploads", { cohort: ["site-a", "site-b", "site-d"] }],
    ["another plan for the same uploads", { planDigest: wrong }],
  ])("L: result that names %s than the site confirmed", async (_, result) => {
    const request = await confirmed(uploadsOf(["site-a", "site-b", "site-c"]), { result });
    await expect(openChain(directory).obtain(request)).rejects.toEqual(refusal("model.chain"));
  });

  /** What a site asks for after the round that it confirmed with these uploads. */
  async function confirmed(uploads: SignedUpload[], forgery: Forgery = {}): Promise<ModelRequest> {
    const history = await ModelHistory.begin(directory);
    const request = history.request(history.plan());
    const chain = openChain(directory);
    await chain.obtain(request);
    chain.confirm(request.received, uploads);
    await history.commit(forgery);
    return history.request(history.plan());
  }

  it("L: sums that are no longer kept", async () => {
    const history = await ModelHistory.begin(directory);
    await history.commit();
    const request = history.request(history.plan());
    const source = {
      ...request.source,
      fetchAggregate: () => {
        throw new ConsiliumError("not-found", "gone");
      },
    };
    await expect(openChain(directory).obtain({ ...request, source })).rejects.toEqual(refusal("model.chain"));
  });
});
