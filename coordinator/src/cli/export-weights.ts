import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import type { RunDetail } from "../round/progress.js";
import type { Admin, WeightsChunk } from "../rpc/admin-types.js";

export interface DownloadOptions {
  readonly admin: Pick<Admin, "fetchWeights">;
  readonly detail: RunDetail;
  /** Absent: the newest; 0: the one that the run began with. */
  readonly round: number | undefined;
  readonly outDirectory: string;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

export interface DownloadedCheckpoint {
  readonly path: string;
  readonly digest: string;
  readonly bytes: number;
  /** 0 is the checkpoint that the run began with. */
  readonly round: number;
}

/**
 * Writes a run's checkpoint as `checkpoint.safetensors`: whole and with the digest that the run names, or not at all.
 * @throws ConsiliumError "not-found" without such a checkpoint, "config-invalid" for a folder that cannot be written,
 * "digest-mismatch".
 */
export async function downloadCheckpoint(options: DownloadOptions): Promise<DownloadedCheckpoint> {
  const { round, digest } = chooseCheckpoint(options.detail, options.round);
  await makeFolder(options.outDirectory);
  const path = join(options.outDirectory, "checkpoint.safetensors");
  const partial = `${path}.${randomUUID()}.tmp`;
  try {
    const chunks = options.admin.fetchWeights({ runId: options.detail.summary.runId, round }, options.signal);
    const received = await writeChunks(partial, chunks, options);
    if (received.digest !== digest) throw mismatch(digest, received);
    await rename(partial, path);
    await syncDirectory(options.outDirectory);
    return { path, digest, bytes: received.bytes, round };
  } finally {
    await rm(partial, { force: true });
  }
}

/** Asking for a round by number, even the newest, keeps the digest right when another round is committed meanwhile. */
function chooseCheckpoint({ summary, history }: RunDetail, round: number | undefined) {
  const record = round === undefined ? history.at(-1) : history.find((one) => one.round === round);
  if (record !== undefined) return { round: record.round, digest: record.checkpointDigest };
  const initialDigest = history[0]?.parentDigest ?? summary.checkpointDigest;
  if ((round === undefined || round === 0) && initialDigest !== "") return { round: 0, digest: initialDigest };
  const last = history.at(-1)?.round;
  const which = round === undefined ? "checkpoint yet" : `checkpoint of round ${round}`;
  throw new ConsiliumError("not-found", `run ${summary.runId} has no ${which}`, {
    remedy: last === undefined ? "wait for its first round" : `its last committed round is ${last}`,
  });
}

interface Received {
  readonly digest: string;
  readonly bytes: number;
}

async function writeChunks(
  path: string,
  chunks: AsyncIterable<WeightsChunk>,
  { signal, onBytes }: Pick<DownloadOptions, "signal" | "onBytes">,
): Promise<Received> {
  const hash = createHash("sha256");
  const file = await open(path, "wx").catch((cause: unknown) => cannotWrite(path, cause));
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      if (signal.aborted) throw new AbortedError();
      const fresh = unseenPart(chunk, bytes);
      hash.update(fresh);
      await file.writeFile(fresh);
      bytes += fresh.length;
      onBytes(bytes);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { digest: hash.digest("hex"), bytes };
}

/** The part of a chunk after the bytes that are already there. */
function unseenPart({ offset, data }: WeightsChunk, received: number): Uint8Array {
  if (offset > received) {
    throw new ConsiliumError("digest-mismatch", `the checkpoint's bytes ${received} to ${offset} never came`, {
      remedy: "run the export again",
    });
  }
  return data.subarray(Math.min(data.length, received - offset));
}

function mismatch(expected: string, { digest, bytes }: Received): ConsiliumError {
  const message = `the checkpoint of ${bytes} bytes has digest ${digest}, the run names ${expected}`;
  return new ConsiliumError("digest-mismatch", message, {
    remedy: "run the export again; if it repeats, the coordinator's checkpoint folder is damaged",
  });
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: unknown) => cannotWrite(path, cause));
}

function cannotWrite(path: string, cause: unknown): never {
  const { code = String(cause) } = cause as NodeJS.ErrnoException;
  throw new ConsiliumError("config-invalid", `${path}: cannot be written (${code})`, {
    remedy: "name a folder that you may write into with --out",
    cause,
  });
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
