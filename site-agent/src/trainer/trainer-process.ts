import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Deferred, deferred } from "@consilium/shared/abort.js";
import { type Clock, systemClock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { type Logger, silentLogger } from "@consilium/shared/log.js";
import {
  type FromTrainer,
  fromTrainerSchema,
  type Prepared,
  type ToTrainer,
  type TrainedRound,
  type Trainer,
  type TrainJob,
  type TrainOptions,
} from "./protocol.js";

export interface TrainerProcessOptions {
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Told once for each run what it is trained on, and again when the process was lost. */
  readonly onPrepared?: (prepared: Prepared) => void;
  /** Module that the process runs. */
  readonly entryPath?: string;
  /** How long the process may take to save and stop before it is killed. */
  readonly stopWithinMs?: number;
}

interface Task {
  readonly result: Deferred<TrainedRound>;
  readonly options: TrainOptions;
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Gives training a process of its own: started with the first job, kept between jobs, started again after it was lost. */
export class TrainerProcess implements Trainer {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #onPrepared: ((prepared: Prepared) => void) | undefined;
  readonly #entryPath: string;
  readonly #stopWithinMs: number;
  #child: ChildProcess | undefined;
  #task: Task | undefined;

  constructor(options: TrainerProcessOptions = {}) {
    this.#log = options.log ?? silentLogger;
    this.#clock = options.clock ?? systemClock;
    this.#onPrepared = options.onPrepared;
    this.#entryPath = options.entryPath ?? fileURLToPath(new URL("./trainer-main.js", import.meta.url));
    this.#stopWithinMs = options.stopWithinMs ?? 5000;
  }

  /** The process's id while there is one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async trainRound(job: TrainJob, options: TrainOptions = {}): Promise<TrainedRound> {
    if (this.#task !== undefined) throw new ConsiliumError("internal", "the trainer is already at work");
    if (options.signal?.aborted) throw new AbortedError();
    const result = deferred<TrainedRound>();
    this.#task = { result, options };
    let cancelKill = (): void => {};
    const abort = (): void => {
      this.#send({ type: "abort" });
      cancelKill = this.#killLater();
    };
    options.signal?.addEventListener("abort", abort, { once: true });
    try {
      this.#child ??= this.#start();
      this.#send({ type: "train", job });
      return await result.promise;
    } finally {
      options.signal?.removeEventListener("abort", abort);
      cancelKill();
      this.#task = undefined;
    }
  }

  /** Ends the process; a job under way is interrupted, as by its signal. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const cancelKill = this.#killLater();
    if (this.#task === undefined) child.disconnect();
    else this.#send({ type: "abort" });
    await this.#task?.result.promise.catch(() => {});
    if (child.connected) child.disconnect();
    await ended;
    cancelKill();
  }

  #start(): ChildProcess {
    // No inherited flags: an agent under a debugger must not make its trainer wait for another.
    const child = fork(this.#entryPath, [], { serialization: "advanced", execArgv: [] });
    child.on("message", (message) => this.#receive(child, message));
    child.on("error", (cause) => this.#lost(child, `could not be started: ${cause.message}`));
    child.on("exit", (code, signal) => this.#lost(child, exitReason({ code, signal })));
    this.#log.info("trainer started", { pid: child.pid });
    return child;
  }

  #send(message: ToTrainer): void {
    // What a process that has just ended does not receive is answered by its exit.
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  #killLater(): () => void {
    const child = this.#child;
    return this.#clock.schedule(this.#clock.now() + this.#stopWithinMs, () => child?.kill("SIGKILL"));
  }

  #receive(child: ChildProcess, message: unknown): void {
    const parsed = fromTrainerSchema.safeParse(message);
    if (parsed.success) {
      this.#accept(parsed.data);
    } else {
      this.#lost(child, "sent a message that cannot be understood");
      child.kill("SIGKILL");
    }
  }

  #accept(message: FromTrainer): void {
    const task = this.#task;
    if (task === undefined) return;
    if (message.type === "prepared") this.#prepared(message.prepared);
    else if (message.type === "progress") task.options.onProgress?.(message.progress);
    else if (message.type === "done") task.result.resolve(message.trained);
    else if (message.type === "aborted") task.result.reject(new AbortedError());
    else if (message.type === "failed") task.result.reject(failureOf(message));
  }

  #prepared(prepared: Prepared): void {
    const { notKept, ...facts } = prepared;
    this.#log.info("engine-ready", { ...facts, compileMs: Math.round(facts.compileMs) });
    if (notKept !== undefined) this.#log.warn("program-not-kept", { reason: notKept });
    this.#onPrepared?.(prepared);
  }

  #lost(child: ChildProcess, reason: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#log.info("trainer ended", { pid: child.pid, reason });
    const { result, options } = this.#task ?? {};
    result?.reject(options?.signal?.aborted ? new AbortedError() : lostProcess(reason));
  }
}

function failureOf({ code, message, remedy }: Extract<FromTrainer, { type: "failed" }>): ConsiliumError {
  return new ConsiliumError(code, message, remedy === undefined ? {} : { remedy });
}

function lostProcess(reason: string): ConsiliumError {
  return new ConsiliumError("training-failed", `the trainer process ${reason}`, {
    remedy: "it starts again with the next attempt and goes on where it saved; see the log for what it last wrote",
  });
}

/** What an exit says about its cause. */
function exitReason({ code, signal }: Exit): string {
  if (signal === "SIGKILL") return "was killed (SIGKILL), perhaps because memory ran out";
  if (signal === "SIGABRT" || code === 134) return "gave up (SIGABRT), as Node does when its heap is full";
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
}
