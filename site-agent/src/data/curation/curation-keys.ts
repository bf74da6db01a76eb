import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ItemList } from "../index/item-list.js";
import { type SourceItem, splitPartId } from "../source.js";
import { readCellModel } from "./cell-model.js";
import { clusterPaths, readClusters } from "./clusters-file.js";
import type { CurationSettings } from "./curation-settings.js";
import { readItemCells } from "./item-cells.js";
import type { ItemKeys } from "./sampling-table.js";

export interface CurationKeys {
  readonly keys: ItemKeys;
  /** By index: the values of `groupBy`, in its order. */
  readonly groupNames: readonly string[];
  readonly clusterNames: readonly string[];
  /** Of each cluster; 0 for one that is dropped. */
  readonly weights: Float64Array;
}

type Items = Pick<ItemList, "length" | "at">;

/**
 * What every image counts under when it is drawn.
 * @throws ConsiliumError "config-missing" or "config-invalid" for the clusters' files, or an attribute that no image has
 */
export async function curationKeys(items: Items, settings: CurationSettings): Promise<CurationKeys> {
  const groups = new Names();
  const slides = new Names();
  const patients = new Names();
  const blank = () => new Int32Array(items.length);
  const keys = { group: blank(), cluster: blank(), slide: blank(), patient: blank() };
  const clusters = await clustersOf(settings);
  const seen = new Set<string>();
  for (let index = 0; index < items.length; index++) {
    const item = items.at(index);
    for (const name of Object.keys(item.attributes ?? {})) seen.add(name);
    const slide = slideOf(item, settings);
    keys.group[index] = groups.numberOf(groupOf(item, settings));
    keys.slide[index] = slides.numberOf(slide);
    keys.patient[index] = patients.numberOf(item.group ?? `slide ${slide}`);
    keys.cluster[index] = clusters.clusterOf(item.id);
  }
  requireAttributes(settings, seen);
  const { clusterNames, weights } = clusters;
  return { keys, groupNames: groups.all(), clusterNames, weights };
}

/** Numbers names from 0 in the order in which they come. */
class Names {
  readonly #numbers = new Map<string, number>();

  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  all(): string[] {
    return [...this.#numbers.keys()];
  }
}

function groupOf({ attributes }: SourceItem, { groupBy }: CurationSettings): string {
  if (groupBy.length === 0) return "all";
  return groupBy.map((name) => attributes?.[name] ?? "–").join(", ");
}

/** An image without the attribute is a slide of its own. */
function slideOf({ id, attributes }: SourceItem, { slideBy }: CurationSettings): string {
  const named = slideBy === undefined ? undefined : attributes?.[slideBy];
  return named ?? splitPartId(id).fileId;
}

function requireAttributes({ groupBy, slideBy }: CurationSettings, seen: ReadonlySet<string>): void {
  const missing = [...groupBy, ...(slideBy === undefined ? [] : [slideBy])].find((name) => !seen.has(name));
  if (missing === undefined) return;
  const known = seen.size === 0 ? "none" : [...seen].sort().join(", ");
  throw new ConsiliumError("config-invalid", `data.curation: no image has the attribute '${missing}'`, {
    remedy: `list the column in data.columns.attributes; attributes that images have: ${known}`,
  });
}

interface KnownClusters {
  readonly clusterNames: readonly string[];
  readonly weights: Float64Array;
  /** @returns -1 for an image that is not drawn */
  clusterOf(id: string): number;
}

/** Images that came after the clusters were found. */
const newcomers = "not clustered yet";

async function clustersOf({ clusters: file, dropCopies }: CurationSettings): Promise<KnownClusters> {
  if (file === undefined) return { clusterNames: ["all"], weights: Float64Array.of(1), clusterOf: () => 0 };
  const paths = clusterPaths(file);
  const model = readCellModel(paths.centroids);
  const { clusters, clusterOfCell } = readClusters(paths.yaml, model);
  const known = new Map<string, number>();
  const expected = { digest: model.digest, cells: model.centroids.length };
  for await (const { id, cell, copy } of readItemCells(paths.items, expected)) {
    known.set(id, copy && dropCopies ? -1 : clusterOfCell[cell]!);
  }
  return {
    clusterNames: [...clusters.map(({ name }) => name), newcomers],
    weights: Float64Array.from([...clusters.map(({ weight, drop }) => (drop ? 0 : weight)), 1]),
    clusterOf: (id) => known.get(id) ?? clusters.length,
  };
}
