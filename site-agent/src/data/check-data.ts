import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { type DataReport, ReportBuilder } from "./data-report.js";
import type { DataSettings } from "./data-settings.js";
import { decodeFile, type ImageFacts, readFacts } from "./decode.js";
import { findFiles } from "./find-images.js";
import { type ChosenFile, chooseFiles } from "./folder-source.js";
import { mapLimited } from "./limiter.js";
import { UnreadableImage } from "./source.js";

export interface CheckOptions {
  readonly settings: DataSettings;
  /** For the estimate of steps in an epoch. */
  readonly batchSize?: number;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Small, because only the outcome counts; still every byte of the image is decoded. */
const probeSize = 32;

/**
 * Reads every chosen image as training would and says what is there. The report names files: it stays with the site.
 * @throws ConsiliumError "input-unreadable", "config-invalid", "config-missing", "not-enough-data"; AbortedError
 */
export async function checkData({ settings, batchSize = 64, onProgress, signal }: CheckOptions): Promise<DataReport> {
  const chosen = await chooseFiles(settings);
  if (chosen.length === 0) throw nothingFound(settings);
  const report = new ReportBuilder(settings);
  await noteOtherFiles(report, settings, chosen);
  let done = 0;
  await mapLimited(chosen, settings.concurrency, async (file) => {
    if (signal?.aborted) throw new AbortedError();
    await inspect(report, file, settings);
    onProgress?.(++done, chosen.length);
  });
  return report.build(batchSize);
}

function nothingFound({ path, where }: DataSettings): ConsiliumError {
  const filter = Object.keys(where).length === 0 ? "" : ` for ${JSON.stringify(where)}`;
  return new ConsiliumError("not-enough-data", `image folder ${path}: holds no image${filter}`, {
    remedy: "check the path, the labels file and `where`",
  });
}

/** Files that training passes over, so that a wrong path or a forgotten row shows. */
async function noteOtherFiles(report: ReportBuilder, settings: DataSettings, chosen: readonly ChosenFile[]) {
  const known = new Set(chosen.map(({ id }) => id));
  for (const { id, isImage } of await findFiles(settings.path)) {
    if (!known.has(id)) report.addUnused(isImage);
  }
}

async function inspect(report: ReportBuilder, { id, row }: ChosenFile, settings: DataSettings): Promise<void> {
  const path = join(settings.path, id);
  try {
    await decodeFile(path, { id, workingSize: probeSize, limits: settings });
    const facts: ImageFacts = await readFacts(path, { id, limits: settings });
    report.addImage({ id, row, facts, ...(await digestOf(path)) });
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    report.addUnreadable({ id, reason: thrown.reason, message: thrown.message });
  }
}

async function digestOf(path: string): Promise<{ digest: string; bytes: number }> {
  const hash = createHash("sha256");
  const stream = createReadStream(path);
  await pipeline(stream, hash);
  return { digest: hash.digest("hex"), bytes: stream.bytesRead };
}
