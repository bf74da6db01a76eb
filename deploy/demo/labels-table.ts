import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";

/** What the demo needs to know of a labels.csv before it starts. */
export interface LabelsTable {
  readonly hospitals: readonly string[];
  readonly classes: readonly string[];
  readonly splits: readonly string[];
}

export function readLabelsTable(path: string, columns: { label: string; site: string }): LabelsTable {
  const rows = parse(readFileSync(path, "utf8"), { columns: true, bom: true, skip_empty_lines: true }) as Record<
    string,
    string
  >[];
  for (const column of ["file", "split", columns.label, columns.site]) {
    if (rows[0]?.[column] === undefined) {
      throw new Error(`${path}: has no column '${column}'; it has ${Object.keys(rows[0] ?? {}).join(", ")}`);
    }
  }
  const distinct = (column: string) => [...new Set(rows.map((row) => row[column]!))].sort();
  return { hospitals: distinct(columns.site), classes: distinct(columns.label), splits: distinct("split") };
}

/** Site ids are lower-case letters, digits and hyphens; a column's values may be anything. */
export function siteIdOf(hospital: string): string {
  const id = hospital
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 60);
  return id === "" ? "site" : id;
}
