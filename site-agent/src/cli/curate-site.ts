import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { dataSettings } from "../config.js";
import { cellModelText } from "../data/curation/cell-model.js";
import { clusterPaths, clustersText } from "../data/curation/clusters-file.js";
import { type CurationSettings, curationSettings } from "../data/curation/curation-settings.js";
import type { FoundClusters, ReadImagesOptions } from "../data/curation/find-clusters.js";
import { itemCellLines } from "../data/curation/item-cells.js";
import { withListedImages } from "../data/curation/listed-images.js";
import type { DataSettings } from "../data/data-settings.js";
import { writeFileWhole } from "../durable-file.js";
import { curateProgress, type Progress } from "./curate-progress.js";
import { joinedConfig } from "./site-config.js";
import { homeOf, type Surroundings } from "./surroundings.js";
import { writeLines } from "./write-lines.js";

/** What the commands of `curate` share: the site's images, and the clusters file with what lies beside it. */

export const fileHelp = "clusters file (default: data.curation.clusters of site.yaml, or clusters.yaml in the home)";
export const forceHelp = "replace a clusters file, with the names that experts have given";

/** Only this account may read what names files or shows patches. */
const privateMode = 0o600;

export interface FileOptions {
  readonly home?: string;
  readonly file?: string;
}

export interface Site {
  readonly settings: DataSettings;
  readonly curation: CurationSettings;
  readonly paths: ReturnType<typeof clusterPaths>;
  readonly progress: Progress;
}

export function siteOf({ home: homeOption, file }: FileOptions, surroundings: Surroundings): Site {
  const home = homeOf(homeOption, surroundings);
  const settings = dataSettings(home, joinedConfig(home));
  const curation = settings.curation ?? curationSettings.parse({});
  const paths = clusterPaths(file ?? curation.clusters ?? join(home.root, "clusters.yaml"));
  return { settings, curation, paths, progress: curateProgress(surroundings.stderr) };
}

export function listing({ settings, progress }: Site, { signal }: Surroundings) {
  return { settings, signal, onProgress: (files: number) => progress.listing(files) };
}

/** @throws ConsiliumError "already-exists" */
export function requireAbsent({ paths }: Site, { force }: { readonly force?: true }): void {
  if (force === true || !existsSync(paths.yaml)) return;
  const message = `${paths.yaml} is there already, maybe with names that experts have given`;
  throw new ConsiliumError("already-exists", message, {
    remedy: "name another file with --file, or replace it with --force",
  });
}

export interface WrittenClusters {
  readonly file: string;
  readonly cells: number;
  readonly images: number;
  readonly copies: number;
  readonly unreadable: number;
}

/** Finds the cell of every image and writes the clusters file, its centroids and the images' cells. */
export async function writeClusters(
  site: Site,
  surroundings: Surroundings,
  find: (images: ReadImagesOptions) => Promise<FoundClusters>,
): Promise<WrittenClusters> {
  const { paths, settings, progress } = site;
  const { model, ...written } = await withListedImages(listing(site, surroundings), async (images) => {
    const { concurrency } = settings;
    const { items, counts, ...found } = await find({
      ...{ ...images, concurrency, signal: surroundings.signal },
      onProgress: progress.reading,
    });
    await writeLines(paths.items, itemCellLines(found.model.digest, items), privateMode);
    return { images: counts.reduce((sum, one) => sum + one, 0), ...found };
  });
  writeFileWhole(paths.centroids, cellModelText(model));
  writeFileWhole(paths.yaml, clustersText(model));
  return { file: paths.yaml, cells: model.centroids.length, ...written };
}

export function writtenLines({ file, cells, images, copies, unreadable }: WrittenClusters): string[] {
  return [
    `${cells} cells of ${images} images, ${copies} of them copies, ${unreadable} unreadable`,
    `written to ${file}`,
    "",
    "Next:",
    "  1. consilium-agent curate review",
    "  2. set data.curation.clusters in site.yaml",
  ];
}
