import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { LedgerStore } from "@consilium/site-agent/privacy/ledger-store.js";
import type { Trainer } from "@consilium/site-agent/trainer/protocol.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../deploy/demo/processes.js";
import { realParticipant } from "../support/broken-site.js";
import { HostileFederation } from "../support/hostile-federation.js";

const names = ["east", "north", "south"];
const rounds = 2;
const noiseMultiplier = 0.002;
const clip = 1;
/** Of the whole model, what there is to learn: each of these should grow by `goal`. */
const taught = 100;
const goal = 0.08;

let federation: HostileFederation;
let root: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "hidden-sites-"));
  federation = await HostileFederation.start(names);
}, 60_000);
afterAll(async () => {
  await federation.stop();
  rmSync(root, { recursive: true, force: true });
}, 30_000);

type Tensors = Awaited<ReturnType<typeof readSafetensors>>["tensors"];

function flat(tensors: Tensors, config: unknown): Float32Array {
  const layout = checkpointLayout(runConfigSchema.parse(config));
  const vector = new Float32Array(layout.dimension);
  for (const { name, offset } of layout.parameters) vector.set(tensors.get(name)!.data, offset);
  return vector;
}

/** Takes half of what is left to the goal in each round. */
class LinearTrainer implements Trainer {
  first: Float32Array | undefined;
  last: Float32Array | undefined;

  async trainRound({ config, checkpointPath, stateDirectory, round }: Parameters<Trainer["trainRound"]>[0]) {
    const now = flat((await readSafetensors(checkpointPath)).tensors, config);
    this.first ??= now;
    this.last = now;
    const delta = new Float32Array(now.length);
    for (let i = 0; i < taught; i++) delta[i] = (this.first[i]! + goal - now[i]!) / 2;
    const bytes = new Uint8Array(delta.buffer);
    mkdirSync(stateDirectory, { recursive: true });
    const deltaPath = join(stateDirectory, `delta-${round}.f32`);
    writeFileSync(deltaPath, bytes);
    const deltaDigest = createHash("sha256").update(bytes).digest("hex");
    return {
      deltaPath,
      deltaDigest,
      sampleCount: 10,
      meanLoss: 1,
      steps: 2,
      figures: {},
      imagesPerSecond: 0,
      skipped: {},
    };
  }

  async stop() {}
}

describe("a federation that hides its sites", () => {
  it("learns under their noise, which sites find in every sum that they follow, and charges every site", async () => {
    const dp = { mode: "site", required: true, maxEpsilon: 1e9, delta: 1e-5 } as const;
    const trainers = names.map(() => new LinearTrainer());
    const participants = federation.sites.map((site, i) => {
      return realParticipant(site, { directory: join(root, site.siteId), trainer: trainers[i]!, dp });
    });
    const runId = await federation.launch({
      ...{ rounds: rounds + 1, cohort: { minSites: 3 }, monitor: { collapse: "off" } },
      privacy: { mode: "site", clip, noiseMultiplier, delta: 1e-5 },
    });
    for (let round = 1; round <= rounds + 1; round++) {
      for (const [i, site] of federation.sites.entries()) {
        const received = await site.planOf(runId, { round });
        await participants[i]!.receive({ kind: "plan", received });
      }
      const record = await until(`round ${round} committed`, 100_000, async () => {
        const { history } = await federation.admin("researcher").getRun(runId);
        return history[round - 1];
      });
      expect(record.cohort).toEqual(names);
    }
    for (const participant of participants) await participant.stop();

    // What the last round began with: each site has worked it out from the sums of those before.
    const { first, last } = trainers[0]!;
    expect(trainers.map((trainer) => trainer.last)).toEqual([last, last, last]);
    const change = last!.map((value, i) => value - first![i]!);
    expect(change.every(Number.isFinite)).toBe(true);
    const learnt = change.subarray(0, taught).reduce((sum, value) => sum + value, 0) / taught;
    expect(learnt / goal).toBeGreaterThan(0.72);
    expect(learnt / goal).toBeLessThan(0.78);
    const rest = change.subarray(taught);
    const variance = rounds * ((noiseMultiplier * clip) / names.length) ** 2;
    const chiSquare = rest.reduce((sum, value) => sum + value * value, 0) / variance;
    expect(Math.abs(chiSquare / rest.length - 1)).toBeLessThan(5 * Math.sqrt(2 / rest.length));

    for (const name of names) {
      const [ledger] = new LedgerStore(join(root, name, "privacy")).all();
      const ids = Array.from({ length: rounds + 1 }, (_, i) => `${runId}/${i + 1}/1`);
      expect(ledger).toMatchObject({ unit: "site", entries: ids.map((id) => ({ id, mechanism: "skellam" })) });
    }
  }, 240_000);
});
