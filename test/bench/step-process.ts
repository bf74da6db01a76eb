import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * A process that takes training steps when it is asked to and answers in lines of JSON: a number is so many steps more,
 * an empty line asks for the peak of its resident memory.
 */
export class StepProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  /** @returns the process and the first line that it said, once it is ready */
  static async start(command: string, args: readonly string[]): Promise<[StepProcess, Record<string, unknown>]> {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    const failed = new Promise<never>((_, reject) => child.once("error", reject));
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const started = new StepProcess(child, lines);
    return [started, await Promise.race([started.#next(), failed])];
  }

  async steps(count: number): Promise<number[]> {
    const { stepMs } = await this.#ask(String(count));
    if (!Array.isArray(stepMs)) throw new Error("the process did not say how long its steps took");
    return stepMs.map(Number);
  }

  async peakRssMiB(): Promise<number> {
    return Number((await this.#ask("")).peakRssMiB);
  }

  stop(): void {
    this.#child.stdin?.end();
  }

  #ask(line: string): Promise<Record<string, unknown>> {
    this.#child.stdin?.write(`${line}\n`);
    return this.#next();
  }

  async #next(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#child.spawnargs.slice(0, 4).join(" ")} ended, see above`);
    return JSON.parse(value);
  }
}
