import { clipLine } from "./format.js";
import type { TextStream } from "./output.js";

/** One moment of a long task. */
export interface LiveFrame {
  /** The whole picture, repainted in place on a terminal. */
  readonly lines: readonly string[];
  /** What a log should say of it: elsewhere each line is printed once, when it first appears or comes back. */
  readonly summary: readonly string[];
}

/** Shows a long task: a block of lines repainted in place on a terminal, and only what changed elsewhere. */
export class LiveBlock {
  readonly #stream: TextStream;
  #painted = 0;
  #said: ReadonlySet<string> = new Set();

  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  get inPlace(): boolean {
    return this.#stream.isTTY === true;
  }

  show(frame: LiveFrame): void {
    if (this.inPlace) this.#paint(frame.lines);
    else this.#say(frame.summary);
  }

  /** A line that stays: above the block on a terminal. */
  log(text: string): void {
    const erase = this.#eraseText();
    this.#painted = 0;
    this.#stream.write(`${erase}${clipLine(text, Number.POSITIVE_INFINITY)}\n`);
  }

  /** Leaves the last picture where it is; what is written next comes below it. */
  end(): void {
    this.#painted = 0;
  }

  #paint(lines: readonly string[]): void {
    // One column stays free, since some terminals wrap a line that fills the last one.
    const width = Math.max(20, known(this.#stream.columns, 80) - 1);
    const shown = this.#fitting(lines);
    const body = shown.map((line) => `${clipLine(line, width)}\n`).join("");
    this.#stream.write(this.#eraseText() + body);
    this.#painted = shown.length;
  }

  /** A block taller than the screen could not be erased again, so its end is left out. */
  #fitting(lines: readonly string[]): readonly string[] {
    const most = Math.max(2, known(this.#stream.rows, 24) - 1);
    if (lines.length <= most) return lines;
    return [...lines.slice(0, most - 1), `… ${lines.length - most + 1} more lines`];
  }

  #say(summary: readonly string[]): void {
    for (const line of summary) {
      if (!this.#said.has(line)) this.#stream.write(`${clipLine(line, Number.POSITIVE_INFINITY)}\n`);
    }
    this.#said = new Set(summary);
  }

  /** Cursor to the block's first column, everything below erased. */
  #eraseText(): string {
    return this.#painted === 0 ? "" : `\u001b[${this.#painted}A\r\u001b[0J`;
  }
}

/** Some terminals say that they are 0 wide when they do not know. */
function known(size: number | undefined, otherwise: number): number {
  return size === undefined || size === 0 ? otherwise : size;
}
