import type { CurationKeys } from "./curation-keys.js";
import { SamplingTable } from "./sampling-table.js";

/** What a cluster or group has of the images, and of the draws. */
export interface DrawShare {
  readonly name: string;
  readonly images: number;
  /** Of all images, 0 … 1. */
  readonly natural: number;
  /** Of all draws, 0 … 1. */
  readonly drawn: number;
}

export interface DrawShares {
  readonly groups: readonly DrawShare[];
  readonly clusters: readonly (DrawShare & { readonly weight: number })[];
  /** Images that look like another and are left out. */
  readonly copies: number;
}

/** @throws ConsiliumError "not-enough-data" when nothing is drawn */
export function drawShares({ keys, groupNames, clusterNames, weights }: CurationKeys, exponent: number): DrawShares {
  const cells = new SamplingTable(keys, { exponent, weights }).shares();
  const drawnOf = (field: "group" | "cluster", index: number) =>
    cells.filter((cell) => cell[field] === index).reduce((sum, { share }) => sum + share, 0);
  const total = keys.group.length;
  const counted = (names: readonly string[], column: Int32Array, field: "group" | "cluster") => {
    const counts = new Int32Array(names.length);
    for (const index of column) if (index >= 0) counts[index]!++;
    return names.map((name, index) => {
      return { name, images: counts[index]!, natural: counts[index]! / total, drawn: drawnOf(field, index) };
    });
  };
  return {
    groups: counted(groupNames, keys.group, "group"),
    clusters: counted(clusterNames, keys.cluster, "cluster")
      .map((share, index) => ({ ...share, weight: weights[index]! }))
      .filter(({ images }) => images > 0),
    copies: keys.cluster.reduce((sum, cluster) => sum + (cluster < 0 ? 1 : 0), 0),
  };
}
