import { stat } from "node:fs/promises";
import { join } from "node:path";
import { AbortedError } from "@consilium/shared/errors.js";
import type { DataSettings } from "./data-settings.js";
import { type FoundFile, findFiles, folderFailure } from "./find-images.js";
import { type LabelRow, type Labels, matches, readLabels, requireColumns } from "./labels.js";
import type { SourceFile, SourceItem } from "./source.js";

/** Which files below a folder a site trains on, and what the labels file says of them; for every source that is a folder. */

export interface ChosenFile {
  readonly id: string;
  /** Absent in a folder without a labels file. */
  readonly row?: LabelRow;
}

type Choice = Pick<DataSettings, "path" | "labels" | "where">;

/**
 * The images that the settings choose, in stable order. A labels file is the list of images: files that it does not
 * name are left out. Without one, every file that `isWanted` accepts is taken; as it is, those with an image's extension.
 * @throws ConsiliumError "input-unreadable", "config-invalid", "config-missing"
 */
export async function chooseFiles(
  { path, labels: labelsPath, where }: Choice,
  isWanted: (file: FoundFile) => boolean = ({ isImage }) => isImage,
): Promise<ChosenFile[]> {
  await requireFolder(path);
  const csvPath = labelsPath ?? join(path, "labels.csv");
  const labels = await readLabels(csvPath, labelsPath !== undefined || Object.keys(where).length > 0);
  if (labels === undefined) {
    return (await findFiles(path)).filter(isWanted).map(({ id }) => ({ id }));
  }
  return chosenRows(labels, where, csvPath);
}

function chosenRows(labels: Labels, where: Choice["where"], csvPath: string): ChosenFile[] {
  requireColumns(labels, Object.keys(where), csvPath);
  return [...labels.rows]
    .filter(([, row]) => matches(row, where))
    .map(([id, row]) => ({ id, row }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function requireFolder(path: string): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw folderFailure(path, cause);
  });
  if (!found.isDirectory()) throw folderFailure(path, { code: "ENOTDIR" });
}

/** The same with their stamps, as a source lists them. */
export async function* chosenFiles(
  settings: Choice,
  { isWanted, signal }: { isWanted?: (file: FoundFile) => boolean; signal: AbortSignal | undefined },
): AsyncGenerator<SourceFile> {
  for (const { id, row } of await chooseFiles(settings, isWanted)) {
    if (signal?.aborted) throw new AbortedError();
    yield { id, stamp: await stampOf(join(settings.path, id)), ...(row === undefined ? {} : { row }) };
  }
}

/** What a row of the labels file says of the images of its file. */
export function rowFacts(
  row: LabelRow | undefined,
  columns: DataSettings["columns"],
): Pick<SourceItem, "label" | "group" | "split" | "attributes"> {
  if (row === undefined) return {};
  const { label, group, split } = { label: row[columns.label], group: row[columns.group], split: row[columns.split] };
  const attributes = Object.fromEntries(
    columns.attributes.filter((name) => row[name] !== undefined).map((name) => [name, row[name]!]),
  );
  return {
    ...(label === undefined ? {} : { label }),
    ...(group === undefined ? {} : { group }),
    ...(split === undefined ? {} : { split }),
    ...(columns.attributes.length === 0 ? {} : { attributes }),
  };
}

/** Size and time of change of a file; for one that cannot be reached, the reason, so that no failure hides here. */
export async function stampOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs } = await stat(path);
    return `${size}@${mtimeMs}`;
  } catch (cause) {
    return `absent (${(cause as NodeJS.ErrnoException).code})`;
  }
}
