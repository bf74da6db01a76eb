import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { z } from "zod";
import { writeFileDurably } from "../durable-file.js";

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

const updateSchema = z.strictObject({
  /** Raw float32, little-endian, in layout order. */
  deltaPath: z.string().min(1),
  deltaDigest: hexDigest,
  /** The checkpoint that training started from. */
  checkpointDigest: hexDigest,
  sampleCount: count,
  meanLoss: z.number(),
  /** Absent in what an older version stored. */
  figures: z.record(z.string(), z.number()).default({}),
  steps: count,
});

const recordSchema = z.strictObject({
  version: z.literal(1),
  round: count,
  /** Older versions noted here what the ledger of attempts has now. */
  advertisedAttempt: z.number().int().min(-1).optional(),
  update: updateSchema.optional(),
});

/** What a site learned in a round, as it is kept until the round is committed. */
export type StoredUpdate = z.output<typeof updateSchema>;
type RoundRecord = z.output<typeof recordSchema>;

/** One record per run, about its newest round only. Written durably before anything that relies on it leaves the site. */
export class UpdateStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  save({ runId, round }: Pick<RoundKey, "runId" | "round">, update: StoredUpdate): void {
    const old = this.#record(runId);
    if (old?.update !== undefined && old.update.deltaPath !== update.deltaPath) {
      rmSync(old.update.deltaPath, { force: true });
    }
    this.#write(runId, { version: 1, round, update });
  }

  /** The update of this round, if it was trained from this checkpoint and its file is there. */
  find({ runId, round }: RoundKey, checkpointDigest: string): StoredUpdate | undefined {
    const record = this.#record(runId);
    // site-check: update-of-round
    if (record?.round !== round || record.update === undefined) return undefined;
    // site-check: update-of-checkpoint
    if (record.update.checkpointDigest !== checkpointDigest || !existsSync(record.update.deltaPath)) return undefined;
    return record.update;
  }

  /** The round is committed, or will never use the update. */
  forget({ runId, round }: Pick<RoundKey, "runId" | "round">): void {
    const record = this.#record(runId);
    if (record?.round !== round || record.update === undefined) return;
    rmSync(record.update.deltaPath, { force: true });
    const { update: _forgotten, ...rest } = record;
    this.#write(runId, rest);
  }

  #record(runId: string): RoundRecord | undefined {
    try {
      return recordSchema.parse(JSON.parse(readFileSync(this.#path(runId), "utf8")));
    } catch {
      // Absent, or damaged by hand: training again is always right.
      return undefined;
    }
  }

  #write(runId: string, record: RoundRecord): void {
    writeFileDurably(this.#path(runId), `${JSON.stringify(record)}\n`);
  }

  #path(runId: string): string {
    return join(this.#directory, `${runId}.json`);
  }
}

/**
 * Reads a delta of `dimension` scalars.
 * @throws ConsiliumError "storage" when the file is not what was stored.
 */
export async function loadDelta(update: StoredUpdate, dimension: number): Promise<Float32Array<ArrayBuffer>> {
  const delta = new Float32Array(dimension);
  const bytes = new Uint8Array(delta.buffer);
  const hash = createHash("sha256");
  const file = await open(update.deltaPath, "r");
  try {
    if ((await file.stat()).size !== bytes.length) throw damaged(update);
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, Math.min(1 << 22, bytes.length - at), at);
      if (bytesRead === 0) throw damaged(update);
      hash.update(bytes.subarray(at, at + bytesRead));
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
  // site-check: update-digest
  if (hash.digest("hex") !== update.deltaDigest) throw damaged(update);
  return delta;
}

function damaged(update: StoredUpdate): ConsiliumError {
  return new ConsiliumError("storage", `${update.deltaPath}: is not the update that was trained`, {
    remedy: "check the disk; the site trains this round again",
  });
}
