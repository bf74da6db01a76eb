import { tableLines } from "@consilium/shared/terminal/table.js";
import { type Command, InvalidArgumentError } from "commander";
import { cellExamples } from "../data/curation/cell-examples.js";
import { readCellModel } from "../data/curation/cell-model.js";
import { readClusters } from "../data/curation/clusters-file.js";
import { curationKeys } from "../data/curation/curation-keys.js";
import { drawShares } from "../data/curation/draw-shares.js";
import { assignImages, findClusters } from "../data/curation/find-clusters.js";
import { groupProfiles } from "../data/curation/group-profiles.js";
import { readItemCells } from "../data/curation/item-cells.js";
import { withListedImages } from "../data/curation/listed-images.js";
import { reviewSheet } from "../data/curation/review-sheet.js";
import {
  type FileOptions,
  fileHelp,
  forceHelp,
  listing,
  requireAbsent,
  siteOf,
  writeClusters,
  writtenLines,
} from "./curate-site.js";
import { shareLines } from "./curate-view.js";
import { pageFile } from "./page-file.js";
import { example, homeHelp, outputOf, type Surroundings } from "./surroundings.js";

/** Clusters of a site's images, and how often each is drawn for training. */
export function addCurate(program: Command, surroundings: Surroundings): void {
  const curate = program
    .command("curate")
    .description("find clusters of like images, review them, and see how often each is drawn");
  addCluster(curate, surroundings);
  addImport(curate, surroundings);
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
    .option("--force", forceHelp)
    .action(async (options: FileOptions & { count: number; seed: number; force?: true }) => {
      const site = siteOf(options, surroundings);
      requireAbsent(site, options);
      const written = await writeClusters(site, surroundings, (images) => findClusters({ ...images, ...options }));
      outputOf(command, surroundings).result(written, () => writtenLines(written));
    });
  example(command, "consilium-agent curate cluster --count 100 --file tissue.yaml");
}

function addImport(curate: Command, surroundings: Surroundings): void {
  const command = curate
    .command("import")
    .description("take over the cells of a run of clusters: find each image's, and write the clusters file")
    .argument("<file>", "clusters.json as 'consilium run export' writes it")
    .option("--home <dir>", homeHelp)
    .option("--file <yaml>", fileHelp)
    .option("--force", forceHelp)
    .action(async (path: string, options: FileOptions & { force?: true }) => {
      const model = readCellModel(path);
      const site = siteOf(options, surroundings);
      requireAbsent(site, options);
      const written = await writeClusters(site, surroundings, (images) => assignImages(images, model));
      outputOf(command, surroundings).result(written, () => writtenLines(written));
    });
  example(command, "consilium-agent curate import clusters.json --file shared.yaml");
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
      const page = pageFile(options.html);
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
      page.write(await reviewSheet({ model, clusters, examples }));
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
