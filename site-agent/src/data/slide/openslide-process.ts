import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createLimiter } from "../limiter.js";
import type { SlideAnswer, SlideRequest } from "./openslide-messages.js";

/** Whoever answers for OpenSlide. */
export interface OpenSlide {
  /** @returns the answer, or "lost" when the request hangs the process, or ends it again and again */
  ask(request: SlideRequest): Promise<SlideAnswer | "lost">;
  close(): Promise<void>;
}

export interface OpenSlideProcessOptions {
  /** The built module that the process runs. */
  readonly entryPath?: string;
  readonly execArgv?: readonly string[];
  readonly timeoutMs?: number;
}

const ownEntry = fileURLToPath(new URL("./openslide-main.js", import.meta.url));

/** A process may also be ended from outside, which says nothing about the file. */
const attempts = 2;

/**
 * OpenSlide in a process of its own: a damaged file can end it and no more, and the calling thread stays free while it
 * decodes. It starts with the first request. Requests go one by one, so that it is known which one it did not survive.
 */
export class OpenSlideProcess implements OpenSlide {
  readonly #entryPath: string;
  readonly #execArgv: readonly string[];
  readonly #timeoutMs: number;
  readonly #inTurn = createLimiter(1);
  #child: ChildProcess | undefined;

  constructor({ entryPath = ownEntry, execArgv = [], timeoutMs = 120_000 }: OpenSlideProcessOptions = {}) {
    this.#entryPath = entryPath;
    this.#execArgv = execArgv;
    this.#timeoutMs = timeoutMs;
  }

  ask(request: SlideRequest): Promise<SlideAnswer | "lost"> {
    return this.#inTurn(async () => {
      if (request.type === "close" && this.#child === undefined) return { type: "closed" };
      for (let attempt = 0; attempt < attempts; attempt++) {
        const answer = await this.#askOnce(request);
        if (answer === "late") break;
        if (answer !== "lost") return answer;
      }
      return "lost";
    });
  }

  #askOnce(request: SlideRequest): Promise<SlideAnswer | "lost" | "late"> {
    const child = this.#child ?? this.#start();
    return new Promise((resolve) => {
      const settle = (answer: SlideAnswer | "lost" | "late"): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        if (typeof answer === "string") this.#abandon(child);
        else hold(child, false);
        resolve(answer);
      };
      const timer = setTimeout(() => settle("late"), this.#timeoutMs);
      child.once("message", (answer) => settle(answer as SlideAnswer));
      child.once("exit", () => settle("lost"));
      child.once("error", () => settle("lost"));
      hold(child, true);
      child.send(request, (failure) => failure !== null && settle("lost"));
    });
  }

  #start(): ChildProcess {
    // What libraries print about a damaged file is not for the agent's log.
    const stdio: ["ignore", "ignore", "ignore", "ipc"] = ["ignore", "ignore", "ignore", "ipc"];
    this.#child = fork(this.#entryPath, [], { serialization: "advanced", execArgv: [...this.#execArgv], stdio });
    return this.#child;
  }

  #abandon(child: ChildProcess): void {
    if (this.#child === child) this.#child = undefined;
    // Nobody listens any more, and an error without a listener would be thrown.
    child.on("error", () => {});
    child.kill("SIGKILL");
    if (child.connected) child.disconnect();
    hold(child, false);
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#child !== undefined) this.#abandon(this.#child);
    });
  }
}

/** A process that has nothing to do must not keep the agent from ending. */
function hold(child: ChildProcess, isBusy: boolean): void {
  if (isBusy) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
}
