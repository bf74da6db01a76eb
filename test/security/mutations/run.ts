import { parseArgs } from "node:util";
import { tableLines } from "@consilium/shared/terminal/table.js";
import { coveringTests } from "./covering-tests.js";
import { findSiteChecks, type SiteCheck, where } from "./site-checks.js";
import { stateOf, type Verdict, VerdictFile } from "./verdict.js";
import { runTests } from "./vitest-run.js";

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
  const judge = new Judge();
  const results = new VerdictFile(values.results);
  const verdicts = new Map<SiteCheck, Verdict>();
  for (const check of checks) {
    const known = results.noticed(check);
    const verdict = known ?? (await judge.verdict(check));
    if (known === undefined) results.add(verdict);
    verdicts.set(check, verdict);
    process.stderr.write(`${verdicts.size}/${checks.length} ${check.name}: ${verdict.outcome}\n`);
  }
  return tell(verdicts, { seconds: (Date.now() - startedMs) / 1000, unsound: judge.unsound });
}

class Judge {
  readonly #fails = new Map<string, readonly string[]>();

  /** Tests that fail with every check in its place: that they fail without one says nothing. */
  get unsound(): string[] {
    return [...this.#fails.values()].flat();
  }

  async verdict(check: SiteCheck): Promise<Verdict> {
    const startedMs = Date.now();
    const verdict = (outcome: Verdict["outcome"], by: string): Verdict => {
      return { check: check.name, outcome, by, seconds: (Date.now() - startedMs) / 1000, state: stateOf(check) };
    };
    for (const files of coveringTests(check)) {
      const { failed, broken } = await runTests(files, check.name);
      for (const { file, name } of failed) {
        if (!(await this.#failsAnyway(file)).includes(name)) return verdict("noticed", name);
      }
      if (broken[0] !== undefined) return verdict("broken", broken[0]);
    }
    return verdict("survived", "");
  }

  async #failsAnyway(file: string): Promise<readonly string[]> {
    const known = this.#fails.get(file);
    if (known !== undefined) return known;
    const { failed, broken } = await runTests([file]);
    if (broken[0] !== undefined) throw new Error(`breaks with every check in its place: ${broken[0]}`);
    const names = failed.map(({ name }) => name);
    this.#fails.set(file, names);
    return names;
  }
}

function tell(
  verdicts: ReadonlyMap<SiteCheck, Verdict>,
  { seconds, unsound }: { readonly seconds: number; readonly unsound: readonly string[] },
): 0 | 1 {
  const columns = [
    { title: "check" },
    { title: "without it" },
    { title: "noticed by", maxWidth: 90 },
    { title: "where" },
    { title: "s", align: "right" },
  ] as const;
  const rows = [...verdicts].map(([check, { outcome, by, seconds: taken }]) => {
    return [check.name, outcome, by, where(check), taken.toFixed(1)];
  });
  console.log(tableLines(columns, rows).join("\n"));
  const named = (outcome: Verdict["outcome"]) =>
    [...verdicts.values()].filter((verdict) => verdict.outcome === outcome).map(({ check }) => check);
  const survived = named("survived");
  const broken = named("broken");
  for (const name of unsound) console.error(`fails with every check in its place: ${name}`);
  console.log(JSON.stringify({ checks: verdicts.size, noticed: named("noticed").length, survived, broken, seconds }));
  return survived.length + broken.length + unsound.length === 0 ? 0 : 1;
}

function complain(reason: string): 1 {
  console.error(reason);
  return 1;
}
