import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { z } from "zod";

/** The cell of every image, one JSON array a line after a line with the digest of the centroids. Names files; stays here. */

export interface ItemCell {
  readonly id: string;
  readonly cell: number;
  readonly distance: number;
  /** Looks like an image before it. */
  readonly copy: boolean;
}

const header = z.strictObject({ digest: z.string() });
const line = z.tuple([z.string(), z.number().int().min(0), z.number(), z.literal([0, 1])]);

export function* itemCellLines(digest: string, items: Iterable<ItemCell>): Generator<string> {
  yield `${JSON.stringify({ digest })}\n`;
  for (const { id, cell, distance, copy } of items) {
    yield `${JSON.stringify([id, cell, Number(distance.toFixed(4)), copy ? 1 : 0])}\n`;
  }
}

/**
 * @param expected digest of the centroids, and how many there are
 * @throws ConsiliumError "config-missing", "config-invalid"
 */
export async function* readItemCells(
  path: string,
  expected: { readonly digest: string; readonly cells: number },
): AsyncGenerator<ItemCell> {
  let number = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      if (number++ === 0) checkHeader(text, path, expected.digest);
      else yield parsedLine(text, `${path}:${number}`, expected.cells);
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof ConsiliumError || code === undefined) throw cause;
    throw new ConsiliumError("config-missing", `${path}: the images' cells cannot be read (${code})`, {
      remedy: "find clusters with `consilium-agent curate cluster`",
      cause,
    });
  }
  if (number === 0) throw invalid(path, "is empty");
}

function invalid(path: string, problem: string): ConsiliumError {
  return new ConsiliumError("config-invalid", `${path}: ${problem}`, {
    remedy: "find the clusters again with `consilium-agent curate cluster`",
  });
}

function checkHeader(text: string, path: string, digest: string): void {
  const parsed = header.safeParse(jsonOf(text));
  if (!parsed.success) throw invalid(path, "does not begin with the centroids' digest");
  if (parsed.data.digest !== digest) throw invalid(path, "is of other centroids");
}

function parsedLine(text: string, place: string, cells: number): ItemCell {
  const parsed = line.safeParse(jsonOf(text));
  if (!parsed.success || parsed.data[1] >= cells) throw invalid(place, "is no image with its cell");
  const [id, cell, distance, copy] = parsed.data;
  return { id, cell, distance, copy: copy === 1 };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
