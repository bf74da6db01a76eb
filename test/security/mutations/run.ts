import { parseArgs } from "node:util";
import { tableLines } from "@consilium/shared/terminal/table.js";
import { coveringTests, tiers } from "./covering-tests.js";
import { findSiteChecks, type SiteCheck, where } from "./site-checks.js";
import { stateOf, type Verdict, VerdictFile } from "./verdict.js";
import { runWithout } from "./vitest-run.js";

const fewestChecks = 20;

/**
 * Takes each of the site's checks out in turn and runs the tests that should notice.
 * @param args names of checks, only these; all where none is named. `--results <file>` keeps the verdicts there and asks
 *   again only about checks that no test noticed, or that have changed since
 * @returns the exit code: 1 when a check is not missed by any test, when tests fail as they are, or checks are too few
 */
export async function run(args: readonly string[]): Promise<0 | 1> {
  const { positionals: names, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { results: { type: "string" } },
  });
  const all = findSiteChecks();
  const unknown = names.filter((name) => !all.some((check) => check.name === name));
  if (unknown.length > 0) return complain(`there is no site check called ${unknown.join(", ")}`);
  if (all.length < fewestChecks) return complain(`${all.length} checks are marked; at least ${fewestChecks} must be`);
  const checks = names.length === 0 ? all : all.filter(({ name }) => names.includes(name));

  const startedMs = Date.now();
  const verdicts = new Verdicts(new VerdictFile(values.results));
  const failing = await judge(checks, verdicts);
  return tell(checks, { verdicts, failing, seconds: (Date.now() - startedMs) / 1000 });
}

/** What is known so far. */
class Verdicts {
  readonly #file: VerdictFile;
  readonly #known = new Map<string, Verdict>();

  constructor(file: VerdictFile) {
    this.#file = file;
  }

  of(check: SiteCheck): Verdict {
    const known = this.#known.get(check.name) ?? this.#file.noticed(check);
    return known ?? { check: check.name, outcome: "survived", by: "", state: stateOf(check) };
  }

  note(check: SiteCheck, outcome: Verdict["outcome"], by: string): void {
    const verdict = { check: check.name, outcome, by, state: stateOf(check) };
    this.#known.set(check.name, verdict);
    this.#file.add(verdict);
    process.stderr.write(`${check.name}: ${outcome} by ${by}\n`);
  }
}

/** @returns tests that fail with every check in its place: that they fail without one says nothing */
async function judge(checks: readonly SiteCheck[], verdicts: Verdicts): Promise<string[]> {
  const failing = new Set<string>();
  for (let tier = 0; tier < tiers; tier++) {
    const files = new Set(checks.flatMap((check) => coveringTests(check)[tier] ?? []));
    for (const file of files) {
      const asked = checks.filter(
        (check) => verdicts.of(check).outcome !== "noticed" && (coveringTests(check)[tier] ?? []).includes(file),
      );
      if (asked.length === 0) continue;
      process.stderr.write(`${file}: ${asked.length} checks\n`);
      const names = asked.map(({ name }) => name);
      const { without, failsAnyway } = await runWithout(file, names);
      for (const name of failsAnyway) failing.add(name);
      for (const check of asked) {
        const { failed, broken } = without.get(check.name)!;
        if (failed[0] !== undefined) verdicts.note(check, "noticed", failed[0]);
        else if (broken[0] !== undefined) verdicts.note(check, "broken", broken[0]);
      }
    }
  }
  return [...failing];
}

function tell(
  checks: readonly SiteCheck[],
  { verdicts, failing, seconds }: { verdicts: Verdicts; failing: readonly string[]; seconds: number },
): 0 | 1 {
  const columns = [
    { title: "check" },
    { title: "without it" },
    { title: "noticed by", maxWidth: 90 },
    { title: "where" },
  ] as const;
  const all = checks.map((check) => ({ ...verdicts.of(check), place: where(check) }));
  const rows = all.map(({ check, outcome, by, place }) => [check, outcome, by, place]);
  console.log(tableLines(columns, rows).join("\n"));
  const named = (outcome: Verdict["outcome"]) =>
    all.filter((verdict) => verdict.outcome === outcome).map(({ check }) => check);
  const survived = named("survived");
  const broken = named("broken");
  for (const name of failing) console.error(`fails with every check in its place: ${name}`);
  console.log(JSON.stringify({ checks: all.length, noticed: named("noticed").length, survived, broken, seconds }));
  return survived.length + broken.length + failing.length === 0 ? 0 : 1;
}

function complain(reason: string): 1 {
  console.error(reason);
  return 1;
}
