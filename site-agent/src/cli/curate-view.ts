import { tableLines } from "@consilium/shared/terminal/table.js";
import type { DrawShare, DrawShares } from "../data/curation/draw-shares.js";

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const titles = (of: string, ...more: string[]) => [
  { title: of, maxWidth: 40 },
  ...["images", "of all", ...more, "drawn"].map((title) => ({ title, align: "right" as const })),
];

const cells = ({ name, images, natural, drawn }: DrawShare, ...more: string[]): string[] => [
  ...[name, String(images), percent(natural), ...more, percent(drawn)],
];

/** Clusters, groups where there are several, and how many copies are left out. */
export function shareLines({ clusters, groups, copies }: DrawShares): string[] {
  const clusterRows = clusters.map((cluster) =>
    cells(cluster, cluster.weight === 0 ? "dropped" : String(cluster.weight)),
  );
  return [
    ...tableLines(titles("cluster", "weight"), clusterRows),
    ...(groups.length < 2
      ? []
      : [
          "",
          ...tableLines(
            titles("group"),
            groups.map((group) => cells(group)),
          ),
        ]),
    ...(copies === 0 ? [] : ["", `${copies} images look like another and are left out`]),
  ];
}
