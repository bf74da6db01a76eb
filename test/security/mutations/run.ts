import { tableLines } from "@consilium/shared/terminal/table.js";
import { coveringTests } from "./covering-tests.js";
import { findSiteChecks, type SiteCheck, where } from "./site-checks.js";
import { runTests } from "./vitest-run.js";

const fewestChecks = 20;

interface Verdict {
  readonly check: SiteCheck;
  /** "broken": a test file could not begin without the check, which proves nothing. */
  readonly outcome: "noticed" | "survived" | "broken";
  /** The test that noticed, or what broke. */
  readonly by: string;
  readonly seconds: number;
}

/**
 * Takes each of the site's checks out in turn and runs the tests that should notice.
 * @param names only these checks; all where none is named
 * @returns the exit code: 1 when a check is not missed by any test, when tests fail as they are, or checks are too few
 */
export async function run(names: readonly string[]): Promise<0 | 1> {
  const all = findSiteChecks();
  const unknown = names.filter((name) => !all.some((check) => check.name === name));
  if (unknown.length > 0) return complain(`there is no site check called ${unknown.join(", ")}`);
  if (all.length < fewestChecks) return complain(`${all.length} checks are marked; at least ${fewestChecks} must be`);
  const checks = names.length === 0 ? all : all.filter(({ name }) => names.includes(name));

  const startedMs = Date.now();
  const whole = await runTests([...new Set(checks.flatMap((check) => coveringTests(check)[0] ?? []))]);
  const faults = [...whole.failed, ...whole.broken];
  if (faults.length > 0) return complain(`tests fail with every check in its place:\n  ${faults.join("\n  ")}`);

  const verdicts: Verdict[] = [];
  for (const check of checks) {
    const verdict = await judge(check);
    verdicts.push(verdict);
    process.stderr.write(`${verdicts.length}/${checks.length} ${check.name}: ${verdict.outcome}\n`);
  }
  return tell(verdicts, (Date.now() - startedMs) / 1000);
}

async function judge(check: SiteCheck): Promise<Verdict> {
  const startedMs = Date.now();
  const verdict = (outcome: Verdict["outcome"], by: string): Verdict => {
    return { check, outcome, by, seconds: (Date.now() - startedMs) / 1000 };
  };
  for (const files of coveringTests(check)) {
    const { failed, broken } = await runTests(files, check.name);
    if (failed[0] !== undefined) return verdict("noticed", failed[0]);
    if (broken[0] !== undefined) return verdict("broken", broken[0]);
  }
  return verdict("survived", "");
}

function tell(verdicts: readonly Verdict[], seconds: number): 0 | 1 {
  const columns = [
    { title: "check" },
    { title: "without it" },
    { title: "noticed by", maxWidth: 90 },
    { title: "where" },
    { title: "s", align: "right" },
  ] as const;
  const rows = verdicts.map(({ check, outcome, by, seconds: taken }) => {
    return [check.name, outcome, by, where(check), taken.toFixed(1)];
  });
  console.log(tableLines(columns, rows).join("\n"));
  const named = (outcome: Verdict["outcome"]) =>
    verdicts.filter((verdict) => verdict.outcome === outcome).map(({ check }) => check.name);
  const survived = named("survived");
  const broken = named("broken");
  console.log(JSON.stringify({ checks: verdicts.length, noticed: named("noticed").length, survived, broken, seconds }));
  return survived.length + broken.length === 0 ? 0 : 1;
}

function complain(reason: string): 1 {
  console.error(reason);
  return 1;
}
