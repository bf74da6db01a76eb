import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

export interface FuzzOptions {
  /** Gives the same inputs again. */
  readonly seed: string;
  /** Inputs for each target. */
  readonly count: number;
  /** Only targets whose name contains this. */
  readonly only: string;
}

/** @throws Error that names the option */
export function parseOptions(args: readonly string[]): FuzzOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      seed: { type: "string", default: randomBytes(6).toString("hex") },
      count: { type: "string" },
      only: { type: "string", default: "" },
    },
  });
  const count = Number(values.count ?? (values.quick ? 20_000 : 100_000));
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`--count ${values.count}: not a whole number from 1`);
  return { seed: values.seed, count, only: values.only };
}
