import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { tableLines } from "@consilium/shared/terminal/table.js";
import { type Command, InvalidArgumentError } from "commander";
import { dataSettings } from "../config.js";
import { cellExamples } from "../data/curation/cell-examples.js";
import { cellModelText, readCellModel } from "../data/curation/cell-model.js";
import { clusterPaths, clustersText, readClusters } from "../data/curation/clusters-file.js";
import { curationKeys } from "../data/curation/curation-keys.js";
import { type CurationSettings, curationSettings } from "../data/curation/curation-settings.js";
import { drawShares } from "../data/curation/draw-shares.js";
import { findClusters } from "../data/curation/find-clusters.js";
import { groupProfiles } from "../data/curation/group-profiles.js";
import { itemCellLines, readItemCells } from "../data/curation/item-cells.js";
import { withListedImages } from "../data/curation/listed-images.js";
import { reviewSheet } from "../data/curation/review-sheet.js";
import type { DataSettings } from "../data/data-settings.js";
import { writeFileWhole } from "../home.js";
import { curateProgress, type Progress } from "./curate-progress.js";
import { shareLines } from "./curate-view.js";
import { joinedConfig } from "./site-config.js";
import { example, homeHelp, homeOf, outputOf, type Surroundings } from "./surroundings.js";
import { writeLines } from "./write-lines.js";

const fileHelp = "clusters file (default: data.curation.clusters of site.yaml, or clusters.yaml in the home)";

/** Only this account may read what names files or shows patches. */
const privateMode = 0o600;

/** Clusters of a site's images, and how often each is drawn for training. */
export function addCurate(program: Command, surroundings: Surroundings): void {
  const curate = program
    .command("curate")
    .description("find clusters of like images, review them, and see how often each is drawn");
  addCluster(curate, surroundings);
  addReview(curate, surroundings);
  addShow(curate, surroundings);
  addProfiles(curate, surroundings);
  example(
    curate,
    "consilium-agent curate cluster --count 100",
    "consilium-agent curate review --html review.html",
    "consilium-agent curate show",
  );
}

interface FileOptions {
  readonly home?: string;
  readonly file?: string;
}

interface Site {
  readonly settings: DataSettings;
  readonly curation: CurationSettings;
  readonly paths: ReturnType<typeof clusterPaths>;
  readonly progress: Progress;
}

function siteOf({ home: homeOption, file }: FileOptions, surroundings: Surroundings): Site {
  const home = homeOf(homeOption, surroundings);
  const settings = dataSettings(home, joinedConfig(home));
  const curation = settings.curation ?? curationSettings.parse({});
  const paths = clusterPaths(file ?? curation.clusters ?? join(home.root, "clusters.yaml"));
  return { settings, curation, paths, progress: curateProgress(surroundings.stderr) };
}

function listing({ settings, progress }: Site, { signal }: Surroundings) {
  return { settings, signal, onProgress: (files: number) => progress.listing(files) };
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("use a whole number from 1");
  return value;
}

function addCluster(curate: Command, surroundings: Surroundings): void {
  const command = curate
    .command("cluster")
    .description("read every image, find clusters of like colours, and write the clusters file")
    .option("--home <dir>", homeHelp)
    .option("--file <yaml>", fileHelp)
    .option("--count <cells>", "cells of k-means, which experts merge", count, 100)
    .option("--seed <number>", "of the first centroids", count, 1)
    .option("--force", "replace a clusters file, with the names that experts have given")
    .action(async (options: FileOptions & { count: number; seed: number; force?: true }) => {
      const site = siteOf(options, surroundings);
      const { paths, settings, progress } = site;
      if (options.force === undefined && existsSync(paths.yaml)) throw exists(paths.yaml);
      const { concurrency } = settings;
      const { signal } = surroundings;
      const result = await withListedImages(listing(site, surroundings), async (images) => {
        const onProgress = progress.reading;
        const found = await findClusters({ ...images, ...options, concurrency, signal, onProgress });
        await writeLines(paths.items, itemCellLines(found.model.digest, found.items), privateMode);
        const { counts, copies, unreadable } = found;
        return { model: found.model, images: counts.reduce((sum, one) => sum + one, 0), copies, unreadable };
      });
      writeFileWhole(paths.centroids, cellModelText(result.model));
      writeFileWhole(paths.yaml, clustersText(result.model));
      const { model: _model, ...counts } = result;
      outputOf(command, surroundings).result({ file: paths.yaml, cells: options.count, ...counts }, () => [
        `${options.count} cells of ${counts.images} images, ${counts.copies} of them copies, ${counts.unreadable} unreadable`,
        `written to ${paths.yaml}`,
        "",
        "Next:",
        "  1. consilium-agent curate review",
        "  2. set data.curation.clusters in site.yaml",
      ]);
    });
  example(command, "consilium-agent curate cluster --count 100 --file tissue.yaml");
}

function exists(path: string): ConsiliumError {
  return new ConsiliumError("already-exists", `${path} is there already, maybe with names that experts have given`, {
    remedy: "name another file with --file, or replace it with --force",
  });
}

function addReview(curate: Command, surroundings: Surroundings): void {
  const command = curate
    .command("review")
    .description("write a page with example patches of each cell, to name, merge, weigh and drop them")
    .option("--home <dir>", homeHelp)
    .option("--file <yaml>", fileHelp)
    .option("--html <file>", "the page, to be looked at here: it shows patients' images", "review.html")
    .option("--examples <number>", "patches of each kind for each cell", count, 12)
    .action(async (options: FileOptions & { html: string; examples: number }) => {
      const site = siteOf(options, surroundings);
      const { paths, progress } = site;
      const model = readCellModel(paths.centroids);
      const clusters = readClusters(paths.yaml, model);
      const cellCount = model.centroids.length;
      const examples = await withListedImages(listing(site, surroundings), (images) => {
        return cellExamples({
          ...images,
          ...{ cells: readItemCells(paths.items, { digest: model.digest, cells: cellCount }), cellCount },
          ...{ count: options.examples, seed: model.seed, signal: surroundings.signal },
          onProgress: progress.reading,
        });
      });
      writeFileWhole(options.html, await reviewSheet({ model, clusters, examples }), privateMode);
      outputOf(command, surroundings).result({ html: options.html, cells: cellCount }, () => [
        `${cellCount} cells on ${options.html}`,
        `put the text that the page makes into ${paths.yaml}`,
      ]);
    });
  example(command, "consilium-agent curate review --html review.html --examples 20");
}

function addShow(curate: Command, surroundings: Surroundings): void {
  const command = curate
    .command("show")
    .description("show clusters and groups with their images and their shares of what training draws")
    .option("--home <dir>", homeHelp)
    .option("--file <yaml>", fileHelp)
    .action(async (options: FileOptions) => {
      const site = siteOf(options, surroundings);
      const curation = { ...site.curation, clusters: site.paths.yaml };
      const shares = await withListedImages(listing(site, surroundings), async ({ items }) => {
        return drawShares(await curationKeys(items, curation), curation.exponent);
      });
      outputOf(command, surroundings).result(shares, () => shareLines(shares));
    });
  example(command, "consilium-agent curate show --json");
}

function addProfiles(curate: Command, surroundings: Surroundings): void {
  const command = curate
    .command("profiles")
    .description("print the mean colours of each group, six numbers, for augmentation.stain.profiles of a run")
    .option("--home <dir>", homeHelp)
    .option("--per-group <number>", "images of each group that are read", count, 200)
    .action(async (options: { home?: string; perGroup: number }) => {
      const site = siteOf(options, surroundings);
      const { clusters: _clusters, ...curation } = site.curation;
      const profiles = await withListedImages(listing(site, surroundings), async (images) => {
        const keys = await curationKeys(images.items, curation);
        return groupProfiles({ ...images, ...options, keys, seed: 1, signal: surroundings.signal });
      });
      outputOf(command, surroundings).result(profiles, () =>
        tableLines(
          [{ title: "group" }, { title: "images", align: "right" }, { title: "profile" }],
          profiles.map(({ group, images, profile }) => [group, String(images), `[${profile.join(", ")}]`]),
        ),
      );
    });
  example(command, "consilium-agent curate profiles --json");
}
