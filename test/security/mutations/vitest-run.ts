import { relative } from "node:path";
import { brokenFiles, isFailed, vitestReport } from "../vitest-json.js";
import { removedCheckVariable } from "./remove-check.js";
import { repository } from "./site-checks.js";

export interface FailedTest {
  /** Relative to the repository. */
  readonly file: string;
  readonly name: string;
}

/** What tests said. */
export interface TestsRun {
  readonly failed: readonly FailedTest[];
  /** Test files that did not even begin. */
  readonly broken: readonly string[];
}

/** Runs test files. @param without the check that is taken out meanwhile: then the first failure is enough */
export async function runTests(files: readonly string[], without?: string): Promise<TestsRun> {
  const removed =
    without === undefined ? {} : { environment: { [removedCheckVariable]: without }, options: ["--bail", "1"] };
  const report = await vitestReport({ repository, config: "vitest.mutations.config.ts", files, ...removed });
  const failed = report.flatMap(({ name, assertionResults }) =>
    assertionResults.filter(isFailed).map(({ fullName }) => ({ file: relative(repository, name), name: fullName })),
  );
  return { failed, broken: brokenFiles(report) };
}
