import { createHmac } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { isMissing } from "@consilium/shared/durable-files.js";
import type { Entropy } from "@consilium/shared/entropy.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { settleFolder, storageError, writeFileDurably } from "../durable-file.js";
import type { AttemptLedger } from "../secagg/attempt-ledger.js";

export interface RunDrawsOptions {
  /** Has one folder per run, which is removed with the run. */
  readonly directory: string;
  readonly entropy: Entropy;
  readonly ledger: Pick<AttemptLedger, "hasUploaded">;
}

const saltBytes = 32;
const saltText = /^[0-9a-f]{64}$/;

/**
 * What a run's draws at this site begin from: order of images, views, masks. A secret salt that the site makes for each run
 * is in it, so a second run of the same file trains otherwise, and the difference of two runs' sums is never exactly the
 * update of a site that was left out. The first weights come from the run's seed alone: all sites work out the same.
 *
 * The salt is durable before the trainer first draws. A crash before that lost nothing that was drawn, and after it the
 * same draws are made again, so a round that is trained twice from the same images gives the same update.
 */
export class RunDraws {
  readonly #options: RunDrawsOptions;

  constructor(options: RunDrawsOptions) {
    this.#options = options;
  }

  /**
   * The `drawSeed` of the run's training, 64 hex digits. It is as secret as the salt.
   * @param seed the run file's
   * @throws ConsiliumError "storage" where the salt cannot be read or kept, and where it is gone although an update of this
   *   round has left: another training of the round would tell the two apart
   */
  seedOf(key: Pick<RoundKey, "runId" | "round">, seed: number): string {
    const salt = this.#read(key.runId) ?? this.#make(key);
    const name = canonicalJson(["consilium draws 1", key.runId, seed]);
    return createHmac("sha256", salt).update(name).digest("hex");
  }

  #read(runId: string): Uint8Array | undefined {
    try {
      const text = readFileSync(this.#path(runId), "utf8").trim();
      if (!saltText.test(text)) throw unreadable(runId);
      return Buffer.from(text, "hex");
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw thrown instanceof ConsiliumError ? thrown : unreadable(runId, thrown);
    }
  }

  #make(key: Pick<RoundKey, "runId" | "round">): Uint8Array {
    const { directory, entropy, ledger } = this.#options;
    // site-check: draws-once
    if (ledger.hasUploaded(key)) throw goneAfterUpload(key.runId);
    const salt = entropy.bytes(saltBytes);
    const path = this.#path(key.runId);
    try {
      mkdirSync(join(directory, key.runId), { recursive: true, mode: 0o700 });
      settleFolder(directory);
      writeFileDurably(path, `${Buffer.from(salt).toString("hex")}\n`, 0o600);
    } catch (cause) {
      throw storageError(path, cause);
    }
    return salt;
  }

  #path(runId: string): string {
    return join(this.#options.directory, runId, "draw-salt");
  }
}

function unreadable(runId: string, cause?: unknown): ConsiliumError {
  return new ConsiliumError("storage", `run ${runId}: the secret that its draws begin from cannot be read`, {
    remedy: "check the disk and who owns draw-salt in the run's folder of state/runs, or restore it from a backup",
    cause,
  });
}

function goneAfterUpload(runId: string): ConsiliumError {
  return new ConsiliumError("storage", `run ${runId}: the secret that its draws begin from is gone from the disk`, {
    remedy: "this site takes part again from the next round on; remove nothing from state/runs while a run goes on",
  });
}
