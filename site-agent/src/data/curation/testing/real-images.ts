import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "csv-parse/sync";
import { decodeFile } from "../../decode.js";
import type { RgbImage } from "../../image.js";
import { mapLimited } from "../../limiter.js";

/** Real images beside the repository, for tests. */
const root = fileURLToPath(new URL("../../../../../../shared/data/", import.meta.url));

export type RealRow = Readonly<Record<string, string>>;

/** Why tests with real images are skipped; undefined where the images are. */
export function lacking(folder: string): string | undefined {
  return existsSync(`${root}${folder}/labels.csv`) ? undefined : `needs the real images of ../shared/data/${folder}`;
}

/** Every `step`-th training image of a folder, in the order of its labels file. */
export function realRows(folder: string, step: number): RealRow[] {
  const rows: RealRow[] = parse(readFileSync(`${root}${folder}/labels.csv`), { columns: true });
  return rows.filter(({ split }) => split === "train").filter((_, index) => index % step === 0);
}

/** @param side short side that images are decoded to */
export function readReal(folder: string, rows: readonly RealRow[], side: number): Promise<RgbImage[]> {
  const limits = { maxPixels: 1e7, maxFileBytes: 1e8 };
  return mapLimited(rows, 2, ({ file }) => {
    return decodeFile(`${root}${folder}/${file}`, { id: file!, workingSize: side, limits });
  });
}
