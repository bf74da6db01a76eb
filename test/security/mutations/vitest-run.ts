import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { brokenFiles, isFailed, type TestFile, vitestReport } from "../vitest-json.js";
import { removedVariable, repository } from "./site-checks.js";

/** What one file's tests said without a check. */
export interface TestsRun {
  /** Full names of the tests that failed, but not of those that fail with every check in its place. */
  readonly failed: readonly string[];
  /** Why the file did not even begin. */
  readonly broken: readonly string[];
}

const here = join(repository, "test/security/mutations");

/**
 * Runs the tests of a file once without each of the checks, and at last with all.
 * @returns by check, and the tests that fail with every check in its place
 */
export async function runWithout(
  file: string,
  checks: readonly string[],
): Promise<{ readonly without: ReadonlyMap<string, TestsRun>; readonly failsAnyway: readonly string[] }> {
  const directory = mkdtempSync(join(here, ".run-"));
  try {
    for (const check of checks) writeFileSync(join(directory, `${check}.test.ts`), caller(directory, file, check));
    // Vitest begins with the largest file: the control is the last.
    writeFileSync(join(directory, `${control}.test.ts`), caller(directory, file));
    const files = [relative(repository, directory)];
    const report = await vitestReport({ repository, config: "vitest.mutations.config.ts", files });
    const failsAnyway = failedTests(report, control);
    const without = new Map(
      checks.map((check): [string, TestsRun] => {
        const failed = failedTests(report, check).filter((name) => !failsAnyway.includes(name));
        return [check, { failed, broken: brokenFiles(report.filter(({ name }) => checkOf(name) === check)) }];
      }),
    );
    return { without, failsAnyway };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** No check's name: those have letters only. */
const control = "0";

/**
 * What earlier tests imported is evaluated anew: lists of checks are made when their module is. Without a check the first
 * failure is enough.
 */
function caller(directory: string, file: string, check?: string): string {
  const untilFailed = "beforeEach(({ skip }) => { if (failed) skip(); onTestFailed(() => { failed = true; }); });";
  return [
    'import { beforeEach, onTestFailed, vi } from "vitest";',
    "let failed = false;",
    ...(check === undefined ? [] : [untilFailed]),
    `globalThis.${removedVariable} = ${JSON.stringify(check)};`,
    "vi.resetModules();",
    `await import("${relative(directory, join(repository, file))}");`,
    "",
  ].join("\n");
}

const checkOf = (path: string): string => basename(path, ".test.ts");

function failedTests(report: readonly TestFile[], check: string): string[] {
  return report
    .filter(({ name }) => checkOf(name) === check)
    .flatMap(({ assertionResults }) => assertionResults.filter(isFailed).map(({ fullName }) => fullName));
}
