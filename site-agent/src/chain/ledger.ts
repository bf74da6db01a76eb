import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { z } from "zod";
import { storageError, writeFileDurably } from "../durable-file.js";

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

const verified = z.strictObject({
  /** Committed rounds that led to it; 0 for the model that the run began with. */
  round: count,
  checkpoint: digest,
  /** Of the round's result; empty for round 0. */
  result: z.union([z.literal(""), digest]),
});

const confirmed = z.strictObject({
  round: count,
  attempt: count,
  /** Of the plan that this site followed. */
  plan: digest,
  /** Sites in the sum, sorted, as this site was told before it helped to unmask it. */
  cohort: z.array(z.string()),
  /** h3: of what they uploaded and signed. */
  survivors: digest,
});

const historySchema = z.strictObject({
  version: z.literal(1),
  runId: z.string(),
  verified: verified.optional(),
  confirmed: confirmed.optional(),
});

/** The newest model of a run that this site worked out itself. Digests are hex. */
export type VerifiedModel = z.output<typeof verified>;
/** The sum that this site last helped to unmask. */
export type ConfirmedSum = z.output<typeof confirmed>;
type History = z.output<typeof historySchema>;

/** What a site knows of its runs' models, one small file for each run; outlives the process. */
export class ModelLedger {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  verifiedOf(runId: string): VerifiedModel | undefined {
    return this.#read(runId).verified;
  }

  confirmedOf({ runId, round, attempt }: RoundKey): ConfirmedSum | undefined {
    const { confirmed } = this.#read(runId);
    return confirmed?.round === round && confirmed.attempt === attempt ? confirmed : undefined;
  }

  /** On the disk when this returns. @throws ConsiliumError "storage" */
  verify(runId: string, model: VerifiedModel): void {
    this.#write({ ...this.#read(runId), verified: model });
  }

  /** Before this site reveals anything about the sum. @throws ConsiliumError "storage" */
  confirm(runId: string, sum: ConfirmedSum): void {
    this.#write({ ...this.#read(runId), confirmed: sum });
  }

  /** A file that cannot be read says nothing: the run's models are worked out from its beginning. */
  #read(runId: string): History {
    try {
      const history = historySchema.parse(JSON.parse(readFileSync(this.#pathOf(runId), "utf8")));
      if (history.runId === runId) return history;
    } catch {
      // As if nothing was known.
    }
    return { version: 1, runId };
  }

  #write(history: History): void {
    const path = this.#pathOf(history.runId);
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileDurably(path, JSON.stringify(history));
    } catch (cause) {
      throw storageError(path, cause);
    }
  }

  #pathOf(runId: string): string {
    return join(this.#directory, `${runId}.json`);
  }
}
