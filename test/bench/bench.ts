/** What a benchmark prints: one line of JSON. */
export type BenchResult = Record<string, number | string>;

/** Options of the command line, `--name value` or `--name` alone. */
export class BenchOptions {
  readonly #given: ReadonlyMap<string, string | true>;

  constructor(given: ReadonlyMap<string, string | true>) {
    this.#given = given;
  }

  /** @throws Error when the text is not a number */
  number(name: string, fallback: number): number {
    const text = this.#given.get(name);
    const value = text === undefined ? fallback : Number(text);
    if (text === true || !Number.isFinite(value)) throw new Error(`--${name} ${text}: not a number`);
    return value;
  }

  text(name: string, fallback: string): string {
    const text = this.#given.get(name);
    if (text === true) throw new Error(`--${name} needs a value`);
    return text ?? fallback;
  }

  flag(name: string): boolean {
    return this.#given.has(name);
  }
}

export type Bench = (options: BenchOptions) => Promise<BenchResult>;
