import { createHash } from "node:crypto";
import type { Counts, DataReport } from "../data/data-report.js";
import type { RgbImage } from "../data/image.js";
import { thumbnailUri } from "../data/thumbnail.js";
import { reportFields } from "./report-fields.js";

const thumbnailSide = 96;

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); }
.images { display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; list-style: none; }
.images img { width: ${thumbnailSide}px; height: ${thumbnailSide}px; object-fit: contain; background: #0002; }
.bar { display: inline-block; height: .6rem; background: currentColor; opacity: .5; }
.warning { border-left: .3rem solid #c60; padding-left: 1rem; }
`;

/** A page about a site's data, in one file, that asks for nothing from outside. It shows images and names files: it stays here. */
export class ReportPage {
  readonly #thumbnails: { readonly id: string; readonly source: string }[] = [];

  async addSample(id: string, image: RgbImage): Promise<void> {
    this.#thumbnails.push({ id, source: await thumbnailUri(image, thumbnailSide) });
  }

  render(report: DataReport): string {
    const allowed = `'sha256-${createHash("sha256").update(style).digest("base64")}'`;
    const policy = `default-src 'none'; img-src data:; style-src ${allowed}`;
    return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data check</title>
<style>${style}</style>
</head>
<body>
<h1>Data check</h1>
<p class="warning">This page shows images of patients and names of files. Keep it on this machine.</p>
${fieldTable(reportFields(report))}
${countTables(report)}
<h2>Images</h2>
<ul class="images">${this.#thumbnails.map(({ id, source }) => `<li><img src="${source}" alt="${escaped(id)}" title="${escaped(id)}"></li>`).join("")}</ul>
${leftOutTable(report)}
${alikeTable(report)}
</body>
</html>
`;
  }
}

function fieldTable(fields: readonly (readonly [string, string])[]): string {
  return `<table>${fields.map(([name, value]) => `<tr><th scope="row">${escaped(name)}</th><td>${escaped(value)}</td></tr>`).join("")}</table>`;
}

function countTables(report: DataReport): string {
  const tables: [string, Counts][] = [
    ["Labels", report.labels],
    ["Modalities", report.modalities],
    ["Transfer syntaxes", report.transferSyntaxes],
    ...Object.entries(report.attributes),
    ["Unreadable", report.unreadableByReason],
    ["Excluded", report.excludedByReason],
  ];
  return tables.map(([title, counts]) => countTable(title, counts)).join("\n");
}

/** Bars are drawn with characters: a style attribute is what the page's own policy forbids. */
function countTable(title: string, counts: Counts): string {
  const entries = Object.entries(counts);
  if (entries.length === 0) return "";
  const most = Math.max(...entries.map(([, count]) => count));
  const rows = entries.slice(0, 200).map(([name, count]) => {
    const bar = "█".repeat(Math.ceil((20 * count) / most));
    return `<tr><th scope="row">${escaped(name)}</th><td>${count}</td><td aria-hidden="true">${bar}</td></tr>`;
  });
  return `<h2>${escaped(title)}</h2>\n<table>${rows.join("")}</table>`;
}

const mostRows = 500;

function leftOutTable({ unreadable }: DataReport): string {
  if (unreadable.length === 0) return "";
  const rows = unreadable.slice(0, mostRows).map(({ id, reason }) => [id, reason] as const);
  return `<h2>Unreadable files</h2>\n${fieldTable(rows)}`;
}

function alikeTable({ nearDuplicates }: DataReport): string {
  if (nearDuplicates.length === 0) return "";
  const rows = nearDuplicates
    .slice(0, mostRows)
    .map((ids) => [`${ids.length} images`, ids.slice(0, 8).join(", ")] as const);
  return `<h2>Images that look alike</h2>\n${fieldTable(rows)}`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}
