import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { finishInThread } from "@consilium/coordinator/aggregate/finish-thread.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { randomFor } from "@consilium/shared/random.js";
import { afterEach, describe, expect, it } from "vitest";
import {
  type AttemptOptions,
  createSites,
  deliveryFor,
  flatten,
  layoutOf,
  plainMean,
  planOf,
  relativeError,
  runAttempt,
  sha256Of,
  shareAll,
} from "./attempt.js";

const layout = layoutOf(20_000);
const created: string[] = [];
afterEach(() => {
  for (const directory of created.splice(0)) rmSync(directory, { recursive: true, force: true });
});

async function attempt(options: AttemptOptions) {
  const result = await runAttempt(options);
  created.push(result.directory);
  return result;
}

describe("a masked round", () => {
  it.each([
    [3, 0, []],
    [3, 0, ["site-b"]],
    [4, 1, []],
    [5, 1, ["site-a"]],
    [5, 0, ["site-c", "site-e"]],
  ])(
    "of %i sites with %i colluders that loses %j equals the plain weighted mean",
    async (count, colluders, dropped) => {
      const received = planOf(layout, { colluders, minCohort: colluders + 2 });
      const sites = createSites(received, layout, count);
      const { finished } = await attempt({ received, layout, sites, dropped });
      const living = sites.filter((site) => !dropped.includes(site.siteId));
      const { tensors, metadata } = await readSafetensors(finished.path);
      expect(relativeError(flatten(tensors, layout), plainMean(living, 1000))).toBeLessThanOrEqual(2e-6);
      const weights = living.map(({ contribution }) => Math.min(1000, contribution.sampleCount));
      const weight = weights.reduce((sum, one) => sum + one, 0);
      const loss = living.reduce((sum, { contribution }, i) => sum + weights[i]! * contribution.meanLoss, 0) / weight;
      expect(finished.lanes).toMatchObject({ weight, steps: 50 * living.length });
      expect(finished.lanes.loss).toBeCloseTo(loss, 5);
      const { koleo, updateNorm, featureSpread } = finished.lanes.figures;
      expect(koleo).toBeCloseTo(1 - loss, 5);
      expect(updateNorm).toBeCloseTo(loss - 0.5, 4);
      const spreads = living.flatMap(({ contribution }) => contribution.figures.featureSpread ?? []);
      if (spreads.length < 2) expect(featureSpread).toBeUndefined();
      else expect(featureSpread).toBeCloseTo((spreads[0]! + spreads[1]!) / 2, 6);
      expect(finished.blamed).toEqual([]);
      expect(metadata).toMatchObject({
        run: "run",
        round: "0",
        method: "simclr",
        cohort: living.map((site) => site.siteId).join(","),
        weight: String(weight),
        aggregation: "fedavg",
      });
    },
  );

  it("moves the previous checkpoint by the mean, and names it as the parent", async () => {
    const random = randomFor("previous");
    const previous = Float32Array.from({ length: layout.dimension }, () => 0.02 * random.normal());
    const received = planOf(layout);
    const sites = createSites(received, layout, 3);
    const { finished, directory } = await attempt({ received, layout, sites, previous });
    const mean = plainMean(sites, 1000);
    const expected = mean.map((delta, i) => previous[i]! + delta);
    const { tensors, metadata } = await readSafetensors(finished.path);
    expect(relativeError(flatten(tensors, layout), expected)).toBeLessThan(1e-7);
    expect(finished.deltaNorm).toBeCloseTo(Math.hypot(...mean), 6);
    const stored = readdirSync(join(directory, "checkpoints")).filter((name) => name.endsWith(".safetensors"));
    expect(stored).toHaveLength(2);
    expect(stored).toContain(`${metadata["parent"]}.safetensors`);
  });

  it("counts clipped coordinates without saying whose they are", async () => {
    const received = planOf(layout, { tensorClips: [0.001, 1, 1] });
    const sites = createSites(received, layout, 3);
    const { finished } = await attempt({ received, layout, sites });
    const clip = Math.fround(0.001);
    const { size } = layout.parameters[0]!;
    const beyond = sites.reduce((count, { contribution }) => {
      return count + contribution.delta.subarray(0, size).filter((value) => Math.abs(value) > clip).length;
    }, 0);
    expect(finished.lanes.clipped).toBe(beyond);
  });

  it("gives identical bytes for identical uploads", async () => {
    const received = planOf(layout);
    const sites = createSites(received, layout, 3);
    const digests: string[] = [];
    const { finished } = await attempt({
      received,
      layout,
      sites,
      finish: async (job) => {
        digests.push((await finishInThread(job)).digest);
        return finishInThread(job);
      },
    });
    expect(digests).toEqual([finished.digest]);
  });

  it("ends without a checkpoint when a site was shown another plan", async () => {
    const received = planOf(layout);
    const sites = createSites(received, layout, 3);
    const other = Buffer.from(planOf(layout, { l2Clip: 999 }).body);
    const context = sha256Of(Buffer.concat([Buffer.from("fsa1/ctx"), other]));
    const run = attempt({ received, layout, sites, tamper: (job) => ({ ...job, context }) });
    await expect(run).rejects.toThrow(expect.objectContaining({ code: "share-invalid" }));
  });

  it("refuses a sum that lacks one survivor's vector", async () => {
    const received = planOf(layout);
    const sites = createSites(received, layout, 3);
    const run = attempt({
      received,
      layout,
      sites,
      tamper: (job) => ({
        ...job,
        uploads: job.uploads.map((upload, i) => (i === 1 ? { ...upload, path: job.uploads[0]!.path } : upload)),
      }),
    });
    await expect(run).rejects.toThrow(expect.objectContaining({ code: "aggregate-invalid" }));
  });

  it("leaves no unfinished file when the previous checkpoint was damaged", async () => {
    const received = planOf(layout);
    const sites = createSites(received, layout, 3);
    let left: string[] = [];
    const run = attempt({
      received,
      layout,
      sites,
      finish: async (job) => {
        try {
          return await finishInThread({ ...job, previousDigest: "0".repeat(64) });
        } finally {
          left = readdirSync(job.outputDirectory);
        }
      },
    });
    await expect(run).rejects.toThrow(expect.objectContaining({ code: "digest-mismatch" }));
    expect(left).toHaveLength(1);
  });

  it("blames a site that reveals false shares and finishes without them", async () => {
    const received = planOf(layout);
    const sites = createSites(received, layout, 4);
    const { finished } = await attempt({
      received,
      layout,
      sites,
      tamper: (job) => ({
        ...job,
        reveals: job.reveals.map((one) => ({
          ...one,
          reveals: one.reveals.map((reveal) =>
            one.fromSite === "site-a"
              ? { ...reveal, share: { ...reveal.share, value: new Uint8Array(32).fill(1) } }
              : reveal,
          ),
        })),
      }),
    });
    expect(finished.blamed).toEqual(["site-a"]);
    const { tensors } = await readSafetensors(finished.path);
    expect(relativeError(flatten(tensors, layout), plainMean(sites, 1000))).toBeLessThanOrEqual(2e-6);
  });
});

describe("a masked vector", () => {
  it("looks uniform, whatever it hides", async () => {
    const received = planOf(layout);
    const sites = createSites(received, layout, 3).map((site) => ({
      ...site,
      contribution: { ...site.contribution, delta: new Float32Array(layout.dimension) },
    }));
    const { sealed } = shareAll(sites);
    const [{ siteId, session, contribution }] = sites as [(typeof sites)[number]];
    const counts = new Float64Array(256);
    let bytes = 0;
    for await (const chunk of session.mask(deliveryFor(siteId, sealed), contribution).chunks()) {
      for (const byte of chunk) counts[byte] = counts[byte]! + 1;
      bytes += chunk.length;
    }
    const expected = bytes / 256;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 255 degrees of freedom; 420 is beyond p = 1e-9, so that fresh keys do not fail it by chance.
    expect(chiSquare).toBeLessThan(420);
  });
});
