import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { itemListOf } from "../index/item-list.js";
import { cellFinder, cellModel, cellModelText, readCellModel } from "./cell-model.js";
import { clusterPaths, clustersText, parseClusters, readClusters } from "./clusters-file.js";
import { orderOf } from "./curated-order.js";
import { curationKeys } from "./curation-keys.js";
import { curationSettings } from "./curation-settings.js";
import { itemCellLines, readItemCells } from "./item-cells.js";
import { SamplingTable } from "./sampling-table.js";
import { statisticCount } from "./statistics.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "clusters-"));
});
afterEach(() => rm(folder, { recursive: true }));

const row = (value: number) => new Array<number>(statisticCount).fill(value);
const model = cellModel({ seed: 3, mean: row(10), deviation: row(2), centroids: [row(-1), row(0), row(1), row(5)] });

const edited = `digest: ${model.digest}
cells:
  cell-0: glass
  cell-1: stroma
  cell-2: stroma
  cell-3: tumour
clusters:
  glass: { drop: true }
  tumour: { weight: 3 }
`;

describe("the centroids' file", () => {
  it("assigns statistics as the model does that was written", async () => {
    const path = join(folder, "centroids.json");
    await writeFile(path, cellModelText(model));
    const found = readCellModel(path);
    expect(found).toEqual(model);
    const finder = cellFinder(found);
    expect(finder(Float32Array.from(row(12.2)))).toMatchObject({ cell: 2 });
    expect(finder(Float32Array.from(row(8)))).toEqual({ cell: 0, distance: 0 });
  });

  it("is refused when it was changed, is damaged or absent", async () => {
    const path = join(folder, "centroids.json");
    expect(() => readCellModel(path)).toThrow(/cannot be read \(ENOENT\)/);
    await writeFile(path, cellModelText({ ...model, mean: row(11) }));
    expect(() => readCellModel(path)).toThrow(/its digest does not fit/);
    await writeFile(path, "{}");
    expect(() => readCellModel(path)).toThrow(/is no file of centroids/);
    await writeFile(path, cellModelText(model).slice(0, 100));
    expect(() => readCellModel(path)).toThrow(/is no JSON/);
  });
});

describe("the clusters' file", () => {
  it("merges cells of one name and has weights and drops", () => {
    const { clusters, clusterOfCell } = parseClusters(edited, model, "clusters.yaml");
    expect(clusters).toEqual([
      { name: "glass", weight: 1, drop: true },
      { name: "stroma", weight: 1, drop: false },
      { name: "tumour", weight: 3, drop: false },
    ]);
    expect([...clusterOfCell]).toEqual([0, 1, 1, 2]);
  });

  it("has every cell as a cluster to begin with", () => {
    const { clusters } = parseClusters(clustersText(model), model, "clusters.yaml");
    expect(clusters.map(({ name }) => name)).toEqual(["kind 0", "kind 1", "kind 2", "kind 3"]);
  });

  it.each<[string, (text: string) => string, RegExp]>([
    [
      "an unknown key",
      (text) => text.replace("weight: 3", "wieght: 3"),
      /clusters\.yaml:9: unknown key 'clusters\.tumour\.wieght'/,
    ],
    ["a cell that is missing", (text) => text.replace("  cell-2: stroma\n", ""), /:3: .*cell-2 has no name/],
    [
      "a cell that there is not",
      (text) => text.replace("  cell-3: tumour", "  cell-3: tumour\n  cell-9: x"),
      /:7: .*to cell-3/,
    ],
    ["a cluster without a cell", (text) => text.replace("  tumour:", "  tumor:"), /:9: .*no cell has this name/],
    ["a negative weight", (text) => text.replace("3 }", "-1 }"), /:9: /],
    ["other centroids", (text) => text.replace(model.digest, "0".repeat(64)), /:1: .*other centroids/],
    ["a name of markup", (text) => text.replace("cell-3: tumour", 'cell-3: "<b>"'), /:6: .*use letters/],
  ])("refuses %s with its line", (_, change, message) => {
    expect(() => parseClusters(change(edited), model, "clusters.yaml")).toThrow(message);
  });

  it("is read from its path", async () => {
    await writeFile(join(folder, "clusters.yaml"), edited);
    expect(readClusters(join(folder, "clusters.yaml"), model).clusters).toHaveLength(3);
    expect(() => readClusters(join(folder, "none.yaml"), model)).toThrow(/none\.yaml: cannot be read/);
  });
});

const cellsOf = async (path: string, cells = 4) => {
  const found = [];
  for await (const item of readItemCells(path, { digest: model.digest, cells })) found.push(item);
  return found;
};

describe("the images' cells", () => {
  const items = [
    { id: 'a, "b".jpg', cell: 1, distance: 0.5, copy: false },
    { id: "s.svs//1,2", cell: 3, distance: 1.25, copy: true },
  ];

  it("come back as they were written", async () => {
    const path = join(folder, "items.jsonl");
    await writeFile(path, [...itemCellLines(model.digest, items)].join(""));
    expect(await cellsOf(path)).toEqual(items);
    await expect(cellsOf(path, 2)).rejects.toThrow(/items\.jsonl:3: is no image with its cell/);
  });

  it("are refused when they are of other centroids, damaged or absent", async () => {
    const path = join(folder, "items.jsonl");
    await expect(cellsOf(path)).rejects.toMatchObject({ code: "config-missing" });
    for (const text of ["", "x\n", `${JSON.stringify({ digest: "0" })}\n`]) {
      await writeFile(path, text);
      await expect(cellsOf(path)).rejects.toMatchObject({ code: "config-invalid" });
    }
  });
});

describe("an order by curation settings", () => {
  const item = (id: string, scanner: string, group?: string) => ({
    ...{ id, stamp: "1", attributes: { scanner } },
    ...(group === undefined ? {} : { group }),
  });
  const items = itemListOf([
    item("a.svs//0", "x", "p1"),
    item("a.svs//1", "x", "p1"),
    item("b.svs//0", "y", "p2"),
    item("c.svs//0", "y"),
    item("d.svs//0", "y"),
  ]);
  const settings = (over: object) => curationSettings.parse({ clusters: join(folder, "clusters.yaml"), ...over });

  beforeEach(async () => {
    const paths = clusterPaths(join(folder, "clusters.yaml"));
    await writeFile(paths.yaml, edited);
    await writeFile(paths.centroids, cellModelText(model));
    const cells = [
      { id: "a.svs//0", cell: 1, distance: 0, copy: false },
      { id: "a.svs//1", cell: 3, distance: 0, copy: false },
      { id: "b.svs//0", cell: 2, distance: 0, copy: true },
      { id: "c.svs//0", cell: 0, distance: 0, copy: false },
    ];
    await writeFile(paths.items, [...itemCellLines(model.digest, cells)].join(""));
  });

  it("knows groups, clusters, slides and patients of the images", async () => {
    const found = await curationKeys(items, settings({ groupBy: ["scanner"] }));
    expect(found.groupNames).toEqual(["x", "y"]);
    expect(found.clusterNames).toEqual(["glass", "stroma", "tumour", "not clustered yet"]);
    expect([...found.weights]).toEqual([0, 1, 3, 1]);
    expect([...found.keys.group]).toEqual([0, 0, 1, 1, 1]);
    expect([...found.keys.slide]).toEqual([0, 0, 1, 2, 3]);
    expect([...found.keys.patient]).toEqual([0, 0, 1, 2, 3]);
    expect([...found.keys.cluster]).toEqual([1, 2, -1, 0, 3]);
    const shares = new SamplingTable(found.keys, { exponent: 0, weights: found.weights }).shares();
    expect(shares.map(({ share }) => share)).toEqual([0.125, 0.375, 0.5]);
  });

  it("takes copies and an attribute as the slide when it is told to", async () => {
    const found = await curationKeys(items, settings({ dropCopies: false, slideBy: "scanner" }));
    expect([...found.keys.cluster]).toEqual([1, 2, 1, 0, 3]);
    expect([...found.keys.slide]).toEqual([0, 0, 1, 1, 1]);
    expect(found.groupNames).toEqual(["all"]);
  });

  it("refuses an attribute that no image has", async () => {
    await expect(curationKeys(items, settings({ groupBy: ["stain"] }))).rejects.toMatchObject({
      code: "config-invalid",
      remedy: expect.stringContaining("scanner"),
    });
  });

  it("is every image once in an epoch without settings", async () => {
    const naming = { items, seed: 1, siteId: "a" };
    const plain = await orderOf({ ...naming, curation: undefined });
    expect([plain.epochLength, plain.mayRepeat]).toEqual([5, false]);
    const curated = await orderOf({ ...naming, curation: settings({ maxPerPatient: 1 }) });
    expect([curated.epochLength, curated.mayRepeat]).toEqual([2, true]);
    expect(new Set([0, 1].map((place) => curated.slot(place).index))).toContain(4);
  });
});
