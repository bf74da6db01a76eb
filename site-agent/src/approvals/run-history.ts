import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { z } from "zod";
import { storageError, writeFileDurably } from "../durable-file.js";
import { type ApprovalSubject, approvalSchema, configDigest } from "./approval.js";

const historySchema = z.strictObject({
  version: z.literal(1),
  /** As the audit log names the images. */
  dataSet: z.string(),
  /** In the order in which they were first accepted. */
  runs: z.array(approvalSchema.pick({ runId: true, digest: true }).strict()),
});
type History = z.output<typeof historySchema>;

/**
 * Every run that a site ever accepted on one set of images, in one file that outlives runs, agents and the coordinator:
 * many small runs together could tell what one run may not.
 */
export class RunHistory {
  readonly #directory: string;
  readonly #dataSet: string;

  constructor(directory: string, dataSet: string) {
    this.#directory = directory;
    this.#dataSet = dataSet;
  }

  /**
   * Which run this is of all on these images, from 1; a new one comes after all that were counted.
   * @param run undefined for a run that has not asked yet
   * @throws ConsiliumError "storage" for a history that cannot be read: it is not an empty one
   */
  placeOf(run: ApprovalSubject | undefined): number {
    const { runs } = this.#read();
    const place = run === undefined ? -1 : indexIn(runs, run);
    return place === -1 ? runs.length + 1 : place + 1;
  }

  /**
   * A run is what was accepted under its id first. With other weights or clips the same updates, summed again over the same
   * sites, would give another sum, and what sets the two apart tells of single sites.
   * @throws ConsiliumError "plan-invalid" for another configuration under a known id, "storage"
   */
  requireSame({ runId, runConfigJson }: ApprovalSubject): void {
    const digest = configDigest(runConfigJson);
    if (!this.#read().runs.some((run) => run.runId === runId && run.digest !== digest)) return;
    throw new ConsiliumError("plan-invalid", `run ${runId} has another configuration than when this site accepted it`, {
      remedy:
        "a run's configuration never changes: ask the coordinator's operator, and launch what differs as a new run",
    });
  }

  /** Counts a run, once; on the disk when this returns. @throws ConsiliumError "storage" */
  count(run: ApprovalSubject): void {
    const { runs, ...rest } = this.#read();
    if (indexIn(runs, run) !== -1) return;
    const digest = configDigest(run.runConfigJson);
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileDurably(this.#path, `${JSON.stringify({ ...rest, runs: [...runs, { runId: run.runId, digest }] })}\n`);
    } catch (cause) {
      throw storageError(this.#path, cause);
    }
  }

  get #path(): string {
    return join(this.#directory, `${this.#dataSet}.json`);
  }

  #read(): History {
    if (!existsSync(this.#path)) return { version: 1, dataSet: this.#dataSet, runs: [] };
    try {
      return historySchema.parse(JSON.parse(readFileSync(this.#path, "utf8")));
    } catch (cause) {
      throw new ConsiliumError("storage", `${this.#path}: the count of runs on these images cannot be read`, {
        cause,
        remedy: "restore it from a backup; without it this site cannot tell how often its images were used",
      });
    }
  }
}

function indexIn(runs: History["runs"], { runId, runConfigJson }: ApprovalSubject): number {
  const digest = configDigest(runConfigJson);
  return runs.findIndex((run) => run.runId === runId && run.digest === digest);
}
