import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { coveringTests } from "./covering-tests.js";
import { repository, type SiteCheck } from "./site-checks.js";

const verdictSchema = z.object({
  check: z.string(),
  /** "broken": a test file could not begin without the check, which proves nothing. */
  outcome: z.enum(["noticed", "survived", "broken"]),
  /** The test that noticed, or what broke. */
  by: z.string(),
  /** Of the source and its own tests, as they were. */
  state: z.string(),
});

/** What became of the tests without one check. */
export type Verdict = z.output<typeof verdictSchema>;

/** Verdicts in a file, one a line, so that a run that was cut short goes on where it stopped. */
export class VerdictFile {
  readonly #path: string | undefined;
  readonly #earlier: readonly Verdict[];

  /** @param path none: nothing is kept */
  constructor(path: string | undefined) {
    this.#path = path;
    const text = path !== undefined && existsSync(path) ? readFileSync(path, "utf8") : "";
    const lines = text.split("\n").filter(Boolean);
    this.#earlier = lines.map((line) => verdictSchema.parse(JSON.parse(line)));
  }

  /** The last verdict that a test noticed the check's absence, if the source and its own tests are still as they were. */
  noticed(check: SiteCheck): Verdict | undefined {
    const state = stateOf(check);
    return this.#earlier.findLast(
      (verdict) => verdict.check === check.name && verdict.outcome === "noticed" && verdict.state === state,
    );
  }

  add(verdict: Verdict): void {
    if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify(verdict)}\n`);
  }
}

/** Changes when the check's source or the tests asked first do. */
export function stateOf(check: SiteCheck): string {
  const hash = createHash("sha256");
  for (const path of [check.path, ...(coveringTests(check)[0] ?? [])])
    hash.update(readFileSync(join(repository, path)));
  return hash.digest("hex").slice(0, 16);
}
