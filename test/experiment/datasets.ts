import { existsSync } from "node:fs";
import { join } from "node:path";
import { readSplit } from "../../deploy/demo/labelled-images.js";
import { readLabelsTable } from "../../deploy/demo/labels-table.js";
import type { Splits } from "./subject.js";

/** Folders of labelled images below a data folder, with the splits that they came with. */
export const datasets = {
  derm: { folder: "derm/ham10000", label: "dx", modality: "dermatology" },
  pcam: { folder: "slides/pcam96", label: "label", modality: "pathology" },
} as const;

export type DatasetName = keyof typeof datasets;

export const datasetNames = Object.keys(datasets) as DatasetName[];

/** @throws Error that says where the images should be */
export function datasetPath(root: string, name: DatasetName): string {
  const { folder, label } = datasets[name];
  const path = join(root, folder);
  if (existsSync(join(path, "labels.csv"))) return path;
  throw new Error(
    `${join(path, "labels.csv")} is not there: name with --data-root the folder that holds ${folder} with its images and a labels.csv (columns file, ${label}, split)`,
  );
}

export async function readSplits(path: string, name: DatasetName, imageSize: number): Promise<Splits> {
  const labelColumn = datasets[name].label;
  const { classes } = readLabelsTable(join(path, "labels.csv"), { label: labelColumn, site: "split" });
  const of = (split: string) => readSplit({ path, labelColumn, imageSize }, split, classes);
  return { train: await of("train"), val: await of("val"), test: await of("test"), classes: classes.length };
}
