import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { readSplit } from "../../deploy/demo/labelled-images.js";
import type { Splits } from "./score.js";

/** Folders of labelled images below a data folder, with the splits that they came with. */
export const datasets = {
  derm: { folder: "derm/ham10000", label: "dx", modality: "dermatology" },
  pcam: { folder: "slides/pcam96", label: "label", modality: "pathology" },
} as const;

export type DatasetName = keyof typeof datasets;

export function datasetPath(root: string, name: DatasetName): string {
  const path = join(root, datasets[name].folder);
  if (existsSync(join(path, "labels.csv"))) return path;
  throw new Error(`${path}: no labels.csv there; name the folder that holds ${datasets[name].folder} with --data-root`);
}

export async function readSplits(path: string, name: DatasetName, imageSize: number): Promise<Splits> {
  const labelColumn = datasets[name].label;
  const rows = parse(readFileSync(join(path, "labels.csv"), "utf8"), { columns: true, bom: true }) as Record<
    string,
    string
  >[];
  const classes = [...new Set(rows.map((row) => row[labelColumn]!))].sort();
  const of = (split: string) => readSplit({ path, labelColumn, imageSize }, split, classes);
  return { train: await of("train"), val: await of("val"), test: await of("test"), classes: classes.length };
}
