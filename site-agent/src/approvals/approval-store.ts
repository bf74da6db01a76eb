import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { storageError, writeFileDurably } from "../durable-file.js";
import {
  type Approval,
  type ApprovalDecision,
  type ApprovalSubject,
  approvalId,
  approvalSchema,
  configDigest,
  isCalled,
} from "./approval.js";

/** A coordinator cannot fill the disk with questions: beyond this many, new ones are refused without being kept. */
const mostWaiting = 50;

/**
 * The runs that asked to begin at a site, one file for each. The agent adds questions, commands answer them; files are
 * read anew each time, so an answer counts at once.
 */
export class ApprovalStore {
  readonly #directory: string;
  readonly #clock: Pick<Clock, "now">;

  constructor(directory: string, clock: Pick<Clock, "now">) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** What was decided about the run with exactly this configuration; "waiting" also where nobody was asked. */
  decisionOn({ runId, runConfigJson }: ApprovalSubject): ApprovalDecision {
    const digest = configDigest(runConfigJson);
    return this.#read(fileName({ runId, digest }))?.decision ?? "waiting";
  }

  /**
   * Keeps the question until a person answers it; on the disk when this returns.
   * @returns its id; undefined where too many wait already
   * @throws ConsiliumError "storage"
   */
  ask({ runId, runConfigJson }: ApprovalSubject): string | undefined {
    const about = { runId, digest: configDigest(runConfigJson) };
    if (this.#read(fileName(about)) === undefined) {
      if (this.waiting().length >= mostWaiting) return undefined;
      const askedAtMs = this.#clock.now();
      this.#write({ version: 1, ...about, runConfigJson, askedAtMs, decision: "waiting" });
    }
    return approvalId(about);
  }

  /** Every question, the oldest first. @throws ConsiliumError "storage" when the folder cannot be read */
  list(): Approval[] {
    return this.#names()
      .flatMap((name) => this.#read(name) ?? [])
      .sort((a, b) => a.askedAtMs - b.askedAtMs || (approvalId(a) < approvalId(b) ? -1 : 1));
  }

  waiting(): Approval[] {
    return this.list().filter(({ decision }) => decision === "waiting");
  }

  /**
   * @param called an id as `list` prints it, or a run's id where the run has asked with one configuration only
   * @throws ConsiliumError "not-found", or "config-invalid" when more than one could be meant
   */
  find(called: string): Approval {
    const [first, ...others] = this.list().filter((approval) => isCalled(approval, called));
    if (first === undefined) throw unknownApproval(called);
    if (others.length > 0) throw ambiguous(called, [first, ...others]);
    return first;
  }

  /**
   * Answers a question, whatever was answered before; the same answer again, without another reason, changes nothing. On the
   * disk when this returns.
   * @throws ConsiliumError "storage"
   */
  decide(approval: Approval, decision: "granted" | "denied", reason?: string): Approval {
    if (approval.decision === decision && reason === undefined) return approval;
    const { reason: _reason, ...rest } = approval;
    const decided = {
      ...{ ...rest, decision, decidedAtMs: this.#clock.now() },
      ...(reason === undefined ? {} : { reason }),
    };
    this.#write(decided);
    return decided;
  }

  #names(): string[] {
    if (!existsSync(this.#directory)) return [];
    try {
      return readdirSync(this.#directory);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new ConsiliumError("storage", `${this.#directory}: cannot be read (${code})`, {
        remedy: "run the command as the agent's user",
        cause,
      });
    }
  }

  /** A file that is damaged, or is not what its name says, decides nothing: its run is asked about again. */
  #read(name: string): Approval | undefined {
    try {
      const approval = approvalSchema.parse(JSON.parse(readFileSync(join(this.#directory, name), "utf8")));
      const whole = configDigest(approval.runConfigJson) === approval.digest && fileName(approval) === name;
      return whole ? approval : undefined;
    } catch {
      return undefined;
    }
  }

  #write(approval: Approval): void {
    const path = join(this.#directory, fileName(approval));
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileDurably(path, JSON.stringify(approval));
    } catch (cause) {
      throw storageError(path, cause);
    }
  }
}

function fileName({ runId, digest }: Pick<Approval, "runId" | "digest">): string {
  return `${runId}.${digest}.json`;
}

function unknownApproval(called: string): ConsiliumError {
  return new ConsiliumError("not-found", `${called}: no run of this id has asked to begin here`, {
    remedy: "see 'consilium-agent approvals list'",
  });
}

function ambiguous(called: string, approvals: readonly Approval[]): ConsiliumError {
  const ids = approvals.map(approvalId).join(", ");
  return new ConsiliumError("config-invalid", `${called}: the run has asked with several configurations: ${ids}`, {
    remedy: "name one of them in full",
  });
}
