import { createHash } from "node:crypto";
import type { RgbImage } from "../image.js";
import { thumbnailUri } from "../thumbnail.js";
import type { CellModel } from "./cell-model.js";
import type { Clusters } from "./clusters-file.js";
import { reviewScript } from "./review-script.js";
import { statisticNames } from "./statistics.js";

/**
 * A page on which an expert sees what the cells of k-means hold, names and merges them, and takes away the text of the
 * clusters file. One file that asks for nothing from outside, and shows patches but no name of a file or patient.
 */

const thumbnailSide = 96;

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 25%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid var(--line); padding: 1rem 0; }
h2 { display: flex; gap: .75rem; align-items: center; font-size: 1.1rem; margin: 0; }
h3 { font-size: 1rem; font-weight: normal; margin: .5rem 0 .25rem; }
.images { display: flex; flex-wrap: wrap; gap: .25rem; margin: 0; padding: 0; list-style: none; }
.images img { display: block; width: ${thumbnailSide}px; height: ${thumbnailSide}px; object-fit: contain; background: #8884; }
.fields { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; margin: .5rem 0; }
.dropped .images { opacity: .35; }
input, button, textarea { font: inherit; }
input[type=number] { width: 7rem; }
input:invalid { outline: 2px solid #d33; }
textarea { width: 100%; height: 20rem; font-family: ui-monospace, monospace; font-size: .85rem; }
.warning { border-left: .3rem solid #c60; padding-left: 1rem; }
`;

/** What the page shows of one cell. */
export interface CellExamples {
  /** Images in it. */
  readonly images: number;
  /** From the nearest to its centroid on. */
  readonly nearest: readonly RgbImage[];
  readonly random: readonly RgbImage[];
}

export interface ReviewRequest {
  readonly model: CellModel;
  readonly clusters: Clusters;
  /** Of every cell, in order. */
  readonly examples: readonly CellExamples[];
}

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** @returns the page's HTML */
export async function reviewSheet({ model, clusters, examples }: ReviewRequest): Promise<string> {
  const total = examples.reduce((sum, { images }) => sum + images, 0);
  const sections: string[] = [];
  for (const [cell, shown] of examples.entries()) {
    sections.push(await cellSection(cell, { shown, total, model, clusters }));
  }
  const policy = [
    ...["default-src 'none'", "img-src data:", `style-src ${hashOf(style)}`, `script-src ${hashOf(reviewScript)}`],
    ...["base-uri 'none'", "form-action 'none'"],
  ].join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Review of clusters</title>
<style>${style}</style>
</head>
<body data-digest="${model.digest}">
<h1>Review of clusters</h1>
<p class="warning">This page shows patients' images. Keep it on this machine.</p>
<p>Name each cell by what it shows. Cells with the same name become one cluster. A weight of 2 is drawn twice as often as
a weight of 1; a dropped cluster never. At the end, take the text of the clusters file.</p>
<main>
${sections.join("\n")}
</main>
<h2 id="result">Clusters file</h2>
<p id="message" role="status" aria-live="polite"></p>
<p><button type="button" id="copy">Copy</button> <button type="button" id="download">Download clusters.yaml</button></p>
<textarea id="yaml" readonly spellcheck="false" aria-labelledby="result"></textarea>
<script>${reviewScript}</script>
</body>
</html>
`;
}

interface Section {
  readonly shown: CellExamples;
  readonly total: number;
  readonly model: CellModel;
  readonly clusters: Clusters;
}

async function cellSection(cell: number, { shown, total, model, clusters }: Section): Promise<string> {
  const { name, weight, drop } = clusters.clusters[clusters.clusterOfCell[cell]!]!;
  const share = total === 0 ? "0" : ((100 * shown.images) / total).toFixed(1);
  return `<section data-cell="${cell}" aria-labelledby="cell-${cell}">
<h2 id="cell-${cell}">${swatch(model, cell)} Cell ${cell}: ${shown.images} images, ${share} %</h2>
<div class="fields">
<label>Name <input name="name" value="${escaped(name)}" required maxlength="63" pattern="[\\p{L}\\p{N}][\\p{L}\\p{N} ._\\-]*"></label>
<label>Weight <input name="weight" type="number" min="0" max="1000000" step="any" required value="${weight}"></label>
<label><input name="drop" type="checkbox"${drop ? " checked" : ""}> Drop</label>
</div>
<h3>Nearest to its centre</h3>
${await thumbnails(shown.nearest, `Patch near the centre of cell ${cell}`)}
<h3>By chance</h3>
${await thumbnails(shown.random, `Patch of cell ${cell}`)}
</section>`;
}

/** The mean colour of the cell. A style attribute is what the page's own policy forbids, an SVG's fill is not. */
function swatch({ mean, deviation, centroids }: CellModel, cell: number): string {
  const levels = ["red mean", "green mean", "blue mean"].map((name) => {
    const column = statisticNames.indexOf(name);
    const value = mean[column]! + deviation[column]! * centroids[cell]![column]!;
    return Math.round(255 * Math.min(1, Math.max(0, value)));
  });
  const fill = `rgb(${levels.join(",")})`;
  return `<svg width="24" height="24" role="img" aria-label="mean colour ${fill}"><rect width="24" height="24" fill="${fill}"/></svg>`;
}

async function thumbnails(images: readonly RgbImage[], title: string): Promise<string> {
  const shown: string[] = [];
  for (const [index, image] of images.entries()) {
    shown.push(
      `<li><img src="${await thumbnailUri(image, thumbnailSide)}" alt="${title}, number ${index + 1}" loading="lazy"></li>`,
    );
  }
  return `<ul class="images">${shown.join("")}</ul>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
