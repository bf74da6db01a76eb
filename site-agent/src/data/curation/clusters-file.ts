import { basename, dirname, extname, join } from "node:path";
import { loadYaml, parseYaml } from "@consilium/shared/config/load-yaml.js";
import { z } from "zod";
import type { CellModel } from "./cell-model.js";

/**
 * The file in which experts say what the cells of k-means are: which belong together, how often they are drawn, which are
 * left out. What a machine found lies beside it: the centroids, and the cell of every image.
 */

/** `clusters.yaml`, `clusters.centroids.json`, `clusters.items.jsonl`. */
export function clusterPaths(yaml: string): {
  readonly yaml: string;
  readonly centroids: string;
  readonly items: string;
} {
  const stem = join(dirname(yaml), basename(yaml, extname(yaml)));
  return { yaml, centroids: `${stem}.centroids.json`, items: `${stem}.items.jsonl` };
}

const clusterName = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,62}$/u, "use letters, digits, spaces, dots and hyphens, at most 63");

const cluster = z.strictObject({
  /** How often a draw falls here, beside the other clusters of a group. */
  weight: z.number().min(0).max(1e6).default(1),
  /** Never drawn. */
  drop: z.boolean().default(false),
});

/** How a cell is called in the file. */
export function cellKey(cell: number): string {
  return `cell-${cell}`;
}

/** The schema knows what it describes, so that every mistake is told with its line. */
function clustersSchema({ digest, centroids }: Pick<CellModel, "digest" | "centroids">) {
  return z
    .strictObject({
      /** Digest of the centroids that the cells are of. */
      digest: z.literal(
        digest,
        "the cells are of other centroids: copy the names to the file that `curate cluster` wrote",
      ),
      /** The cluster of each cell; cells with one name are one cluster. */
      cells: z.record(z.string(), clusterName),
      /** Clusters that are not drawn like the others. */
      clusters: z.record(z.string(), cluster).default({}),
    })
    .superRefine(({ cells, clusters }, context) => {
      const refuse = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
      const expected = new Set(Array.from(centroids.keys(), cellKey));
      for (const key of Object.keys(cells)) {
        if (!expected.has(key))
          refuse(["cells", key], `there is no such cell: they are cell-0 to ${[...expected].at(-1)}`);
      }
      for (const key of expected) if (cells[key] === undefined) refuse(["cells"], `${key} has no name`);
      const names = new Set(Object.values(cells));
      for (const name of Object.keys(clusters)) {
        if (!names.has(name)) refuse(["clusters", name], "no cell has this name");
      }
    });
}

export interface Cluster {
  readonly name: string;
  readonly weight: number;
  readonly drop: boolean;
}

export interface Clusters {
  /** In the order of their first cells. */
  readonly clusters: readonly Cluster[];
  /** Index of each cell's cluster. */
  readonly clusterOfCell: Int32Array;
}

/**
 * Reads a clusters file.
 * @throws ConsiliumError "config-missing"; "config-invalid" naming every bad line
 */
export function readClusters(path: string, model: CellModel): Clusters {
  return clustersFrom(loadYaml(path, clustersSchema(model)));
}

/** As `readClusters`, of text; `source` names it in errors. */
export function parseClusters(text: string, model: CellModel, source: string): Clusters {
  return clustersFrom(parseYaml(text, clustersSchema(model), source));
}

type Parsed = z.output<ReturnType<typeof clustersSchema>>;

function clustersFrom({ cells, clusters }: Parsed): Clusters {
  const count = Object.keys(cells).length;
  const nameOf = (cell: number) => cells[cellKey(cell)]!;
  const names = [...new Set(Array.from({ length: count }, (_, cell) => nameOf(cell)))];
  const indexOf = new Map(names.map((name, index) => [name, index]));
  return {
    clusters: names.map((name) => ({ name, weight: 1, drop: false, ...clusters[name] })),
    clusterOfCell: Int32Array.from({ length: count }, (_, cell) => indexOf.get(nameOf(cell))!),
  };
}

/** What `curate cluster` writes, for experts to edit: every cell a cluster of its own. */
export function clustersText({ digest, centroids }: Pick<CellModel, "digest" | "centroids">): string {
  const cells = centroids.map((_, cell) => `  ${cellKey(cell)}: kind ${cell}`);
  return `# What the cells of k-means are. Give cells of one kind the same name: they become one cluster.
# \`consilium-agent curate review\` shows example patches of each cell.
digest: ${digest}
cells:
${cells.join("\n")}
# Clusters that are drawn more or less often than the others, or never:
#   tumour: { weight: 3 }
#   glass: { drop: true }
clusters: {}
`;
}
