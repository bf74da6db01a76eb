import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands, mustRun, runCommand, until } from "../../deploy/demo/processes.js";
import { type CellModel, readCellModel } from "../../site-agent/src/data/curation/cell-model.js";
import { type FeatureRows, rowCount, scalingOf, standardise } from "../../site-agent/src/data/curation/feature-rows.js";
import { dataSettingsSchema } from "../../site-agent/src/data/data-settings.js";
import { siteRows } from "../../site-agent/src/trainer/statistics-rows.js";
import { lineageHolds, type ShownRun, SmallFederation } from "../support/small-federation.js";

const allowing = ["north", "south", "west"];
const lanes = ["weight", "loss", "steps", "clipped", "updateNorm", "cosine", "terms"];
const clusters = 5;
const rounds = 4;

const run = {
  ...{ name: "shades", seed: 7, modality: "dermatology", rounds },
  method: { name: "clusters", clusters, minImages: 1 },
  aggregation: { weightCap: 24 },
  cohort: { minSites: 3 },
  deadlines: { trainingSeconds: 60, stageSeconds: 20 },
};

/** Lloyd's k-means over rows that are standardised already; an empty cell keeps its centroid. */
function lloyd({ data, width }: FeatureRows, first: readonly (readonly number[])[], passes: number): number[][] {
  let centroids = first.map((centroid) => [...centroid]);
  for (let pass = 0; pass < passes; pass++) {
    const members: number[][][] = centroids.map(() => []);
    for (let at = 0; at < data.length; at += width) {
      const row = [...data.subarray(at, at + width)];
      const distances = centroids.map((centroid) =>
        centroid.reduce((sum, value, i) => sum + (value - row[i]!) ** 2, 0),
      );
      members[distances.indexOf(Math.min(...distances))]!.push(row);
    }
    centroids = centroids.map((centroid, cell) => {
      const rows = members[cell]!;
      if (rows.length === 0) return centroid;
      return centroid.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
    });
  }
  return centroids;
}

const largestDifference = (a: readonly number[], b: readonly number[]) => {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);
};

describe("a run of clusters", () => {
  let federation: SmallFederation;
  let pooled: FeatureRows;
  let finished: ShownRun;
  let model: CellModel;
  const inside = (...names: string[]) => join(federation.directory, ...names);

  beforeAll(async () => {
    federation = await SmallFederation.create({
      sites: [...allowing, "east"],
      policyOf: (id) => ({ egress: { lanes, ...(id === "east" ? {} : { statistics: "allow", minCell: 1 }) } }),
    });
    const sites = await Promise.all(
      allowing.map(async (hospital) => {
        const settings = dataSettingsSchema.parse({ path: inside("images"), where: { hospital, split: "train" } });
        return (await siteRows({ settings, cachePath: inside(`${hospital}.bin`) })).rows;
      }),
    );
    pooled = { data: Float32Array.from(sites.flatMap(({ data }) => [...data])), width: sites[0]!.width };
    await federation.start();
    const path = inside("clusters.yaml");
    writeFileSync(path, JSON.stringify(run));
    const { runId } = JSON.parse(await federation.consilium("run", "launch", path, "--json")) as { runId: string };
    finished = await federation.finished(runId);
    await federation.consilium("run", "export", runId, "--out", inside("export"));
    await federation.consilium("run", "export", runId, "--round", "2", "--no-onnx", "--out", inside("round-2"));
    model = readCellModel(inside("export", "clusters.json"));
  }, 240_000);

  afterAll(() => federation.remove(), 60_000);

  it("adds up the images of the sites that allow it, with a loss that falls from 1", () => {
    expect(finished.history).toHaveLength(rounds);
    expect(lineageHolds(finished)).toBe(true);
    for (const { cohort, weight } of finished.history) expect([[...cohort].sort(), weight]).toEqual([allowing, 72]);
    const losses = finished.history.map(({ loss }) => loss);
    expect(losses[0]).toBeCloseTo(1, 5);
    for (const [pass, loss] of losses.entries()) expect(loss).toBeLessThan((losses[pass - 1] ?? 1) + 1e-5);
    expect(losses.at(-1)).toBeLessThan(0.9);
  });

  it("finds the scaling and the cells of Lloyd's k-means on the pooled images, from the same first centroids", async () => {
    expect(rowCount(pooled)).toBe(72);
    const central = scalingOf(pooled);
    const relative = model.deviation.map((value, column) => value / central.deviation[column]! - 1);
    expect(largestDifference(relative, new Array<number>(relative.length).fill(0))).toBeLessThan(1e-3);
    const { tensors } = await readSafetensors(inside("round-2", "checkpoint.safetensors"));
    const first = tensors.get("cluster.centroids")!;
    expect(first.shape).toEqual([clusters, pooled.width]);
    const rows = { data: pooled.data.slice(), width: pooled.width };
    standardise(rows, { mean: Float64Array.from(model.mean), deviation: Float64Array.from(model.deviation) });
    const rowOf = (cell: number) => [...first.data.subarray(cell * pooled.width, (cell + 1) * pooled.width)];
    const expected = lloyd(
      rows,
      Array.from({ length: clusters }, (_, cell) => rowOf(cell)),
      rounds - 1,
    );
    expect(largestDifference(model.centroids.flat(), expected.flat())).toBeLessThan(1e-4);
    expect(largestDifference(model.centroids.flat(), [...first.data])).toBeGreaterThan(0.1);
  });

  it("is refused by a site whose policy lets no statistics travel, which names the clause", async () => {
    const log = () => readFileSync(inside("logs", "east.log"), "utf8");
    await until("east refuses", 10_000, async () => (/egress\.statistics/.test(log()) ? true : undefined));
    expect(log()).toMatch(/plan-refused/);
  });

  it("becomes a site's own clusters, to be reviewed", async () => {
    const at = ["--home", federation.agentHome("north"), "--file", inside("shared.yaml")];
    const imported = JSON.parse(
      await mustRun(commands.agent, ["curate", "import", inside("export", "clusters.json"), ...at, "--json"]),
    ) as { cells: number; images: number };
    expect(imported).toMatchObject({ cells: clusters, images: 24 });
    await mustRun(commands.agent, ["curate", "review", ...at, "--html", inside("review.html"), "--examples", "2"]);
    expect(readFileSync(inside("review.html"), "utf8")).toMatch(/cell-4/);
  }, 60_000);

  it("has no training step and no encoder", async () => {
    const explained = await runCommand(commands.agent, ["engine", "explain", "--run", inside("clusters.yaml")]);
    expect(explained.code).not.toBe(0);
    expect(explained.stderr).toContain("a run of clusters trains no model");
  }, 60_000);
});
