import { readFile } from "node:fs/promises";
import { isAbsolute, normalize, sep } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { CsvError, parse } from "csv-parse/sync";

/** Values of a row by column name. */
export type LabelRow = Readonly<Record<string, string>>;

export interface Labels {
  readonly columns: readonly string[];
  /** By the image's path relative to the folder, with forward slashes; in the order of the file. */
  readonly rows: ReadonlyMap<string, LabelRow>;
}

/** Column that names the image. */
const fileColumn = "file";

function invalid(path: string, problem: string, remedy: string, cause?: unknown): ConsiliumError {
  return new ConsiliumError("config-invalid", `${path}: ${problem}`, { remedy, cause });
}

/**
 * @returns undefined when the file does not exist and `required` is false
 * @throws ConsiliumError "config-missing", or "config-invalid" naming the line
 */
export async function readLabels(path: string, required: boolean): Promise<Labels | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" && !required) return undefined;
    throw new ConsiliumError("config-missing", `${path}: the labels file cannot be read (${code})`, {
      remedy: "check the path and the file's permissions",
      cause,
    });
  }
  return labelsOf(parseCsv(path, text), path);
}

interface Parsed {
  readonly columns: readonly string[];
  readonly records: readonly { readonly line: number; readonly row: LabelRow }[];
}

function parseCsv(path: string, text: string): Parsed {
  let columns: string[] = [];
  const records: { line: number; row: LabelRow }[] = [];
  try {
    parse(text, {
      bom: true,
      trim: true,
      skip_empty_lines: true,
      columns: (header: string[]) => {
        columns = header;
        return header;
      },
      on_record: (row: Record<string, string>, { lines }) => {
        records.push({ line: lines, row });
        return null;
      },
    });
    return { columns, records };
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw invalid(path, cause.message, "save it as comma-separated text with one header row", cause);
  }
}

function labelsOf({ columns, records }: Parsed, path: string): Labels {
  if (!columns.includes(fileColumn)) {
    throw invalid(
      path,
      `has no column '${fileColumn}'`,
      `name the column with the image's relative path '${fileColumn}'`,
    );
  }
  const repeated = columns.find((column, index) => columns.indexOf(column) !== index);
  if (repeated !== undefined) throw invalid(path, `has two columns '${repeated}'`, "rename one of them");
  const rows = new Map<string, LabelRow>();
  for (const { line, row } of records) {
    const id = relativeId(row[fileColumn] ?? "");
    if (id === undefined) {
      throw invalid(path, `line ${line}: not a path inside the folder`, "use paths relative to the image folder");
    }
    if (rows.has(id)) throw invalid(path, `line ${line}: a file that was listed before`, "keep one row per image");
    rows.set(id, row);
  }
  return { columns, rows };
}

function relativeId(file: string): string | undefined {
  if (file === "" || isAbsolute(file)) return undefined;
  const id = normalize(file).split(sep).join("/");
  return id.startsWith("../") || id === ".." ? undefined : id;
}

/** @throws ConsiliumError "config-invalid" when a filter names a column that the file lacks */
export function requireColumns(labels: Labels, names: readonly string[], path: string): void {
  const missing = names.find((name) => !labels.columns.includes(name));
  if (missing === undefined) return;
  throw invalid(
    path,
    `has no column '${missing}', by which 'where' chooses`,
    `choose among: ${labels.columns.join(", ")}`,
  );
}

export function matches(row: LabelRow, where: Readonly<Record<string, string>>): boolean {
  return Object.entries(where).every(([column, value]) => row[column] === value);
}
