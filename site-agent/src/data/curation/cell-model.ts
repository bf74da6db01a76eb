import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { z } from "zod";
import { nearestCentroid } from "./nearest-centroid.js";
import { statisticNames } from "./statistics.js";

const numbers = z.array(z.number());

const fileSchema = z.strictObject({
  version: z.literal(1),
  /** Of the generator that found the centroids. */
  seed: z.number().int(),
  statistics: z.array(z.string()),
  mean: numbers,
  deviation: z.array(z.number().positive()),
  /** Of standardised statistics. */
  centroids: z.array(numbers).min(1),
  /** SHA-256 of all the rest, as canonical JSON. */
  digest: z.string(),
});

/** What assigns a patch to a cell of k-means: the same statistics give the same cell everywhere. */
export type CellModel = Readonly<z.output<typeof fileSchema>>;

export type CellModelParts = Omit<CellModel, "version" | "digest" | "statistics">;

function digestOf(parts: Omit<CellModel, "digest">): string {
  return createHash("sha256").update(canonicalJson(parts)).digest("hex");
}

export function cellModel(parts: CellModelParts): CellModel {
  const content = { version: 1 as const, statistics: [...statisticNames], ...parts };
  return { ...content, digest: digestOf(content) };
}

export function cellModelText(model: CellModel): string {
  return `${JSON.stringify(model)}\n`;
}

function invalid(path: string, problem: string, cause?: unknown): ConsiliumError {
  return new ConsiliumError("config-invalid", `${path}: ${problem}`, {
    remedy: "find the clusters again with `consilium-agent curate cluster`",
    cause,
  });
}

/** @throws ConsiliumError "config-missing"; "config-invalid" when it was changed or is of other statistics */
export function readCellModel(path: string): CellModel {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConsiliumError("config-missing", `${path}: the clusters' centroids cannot be read (${code})`, {
      remedy: "find clusters with `consilium-agent curate cluster`",
      cause,
    });
  }
  return checkedModel(text, path);
}

function checkedModel(text: string, path: string): CellModel {
  const parsed = fileSchema.safeParse(jsonOf(text, path));
  if (!parsed.success) throw invalid(path, "is no file of centroids", parsed.error);
  const { digest, ...content } = parsed.data;
  if (digestOf(content) !== digest) throw invalid(path, "was changed: its digest does not fit");
  const { statistics, mean, deviation, centroids } = content;
  const width = statisticNames.length;
  const known = statistics.length === width && statistics.every((name, index) => name === statisticNames[index]);
  const fits = [mean, deviation, ...centroids].every((row) => row.length === width);
  if (!known || !fits) throw invalid(path, "is of other statistics than this version computes");
  return parsed.data;
}

function jsonOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(path, "is no JSON", cause);
  }
}

export interface CellOf {
  readonly cell: number;
  /** From the cell's centroid, in deviations. */
  readonly distance: number;
}

/** @returns what finds the cell of a patch's statistics, which are not standardised */
export function cellFinder({ mean, deviation, centroids }: CellModel): (statistics: Float32Array) => CellOf {
  const flat = Float64Array.from(centroids.flat());
  const width = mean.length;
  return (statistics) => {
    const data = statistics.map((value, column) => (value - mean[column]!) / deviation[column]!);
    const { centroid, distance } = nearestCentroid({ data, width }, 0, flat);
    return { cell: centroid, distance: Math.sqrt(distance) };
  };
}
