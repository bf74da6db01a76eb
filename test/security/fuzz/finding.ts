import { ConsiliumError } from "@consilium/shared/errors.js";
import { busyMs } from "./busy-time.js";
import { spoiled } from "./mutate.js";

/** Something that bad input must not be able to do. */
export interface Finding {
  readonly target: string;
  readonly seed: string;
  /** Which of the seed's inputs it was. */
  readonly number: number;
  readonly problem: string;
  /** The input's first bytes. */
  readonly hex: string;
}

/** What became of the inputs of one target. */
export interface Tally {
  readonly target: string;
  inputs: number;
  /** Inputs that were as good as the sample. */
  accepted: number;
  slowestMs: number;
}

export const slowestAllowedMs = 1000;

export function findingOf(about: Omit<Finding, "hex">, input: Uint8Array): Finding {
  return { ...about, hex: Buffer.from(input.subarray(0, 4096)).toString("hex") };
}

/** Reads one kind of input; whatever it throws must be a ConsiliumError. */
export interface Parser {
  readonly target: string;
  readonly samples: readonly Uint8Array[];
  readonly parse: (input: Buffer) => unknown;
}

/** Gives a parser `count` spoiled samples. @returns what was found, at most a few of it */
export async function fuzzParser(
  { target, samples, parse }: Parser,
  { count, seed }: { readonly count: number; readonly seed: string },
): Promise<{ tally: Tally; findings: Finding[] }> {
  const tally: Tally = { target, inputs: 0, accepted: 0, slowestMs: 0 };
  const findings: Finding[] = [];
  const targetSeed = `${seed}/${target}`;
  for (let number = 0; number < count && findings.length < 5; number++) {
    const input = spoiled(samples[number % samples.length]!, { seed: targetSeed, number });
    const problem = await problemWith(parse, input, tally);
    if (problem !== undefined) findings.push(findingOf({ target, seed: targetSeed, number, problem }, input));
  }
  return { tally, findings };
}

async function problemWith(parse: Parser["parse"], input: Buffer, tally: Tally): Promise<string | undefined> {
  const startedMs = busyMs();
  let problem: string | undefined;
  try {
    await parse(input);
    tally.accepted++;
  } catch (thrown) {
    if (!(thrown instanceof ConsiliumError) || thrown.code === "internal") problem = `throws ${String(thrown)}`;
  }
  const tookMs = busyMs() - startedMs;
  tally.inputs++;
  tally.slowestMs = Math.max(tally.slowestMs, tookMs);
  return problem ?? (tookMs > slowestAllowedMs ? `takes ${Math.round(tookMs)} ms` : undefined);
}
