import { tableLines } from "@consilium/shared/terminal/table.js";
import { repository } from "../mutations/site-checks.js";
import { brokenFiles, isFailed, vitestReport } from "../vitest-json.js";
import { casesAmong, countsOf, faultsOf, filesWithCases, matrices } from "./cases.js";

/** Runs every case of the security matrices and prints the table. */
async function main(): Promise<0 | 1> {
  const startedMs = Date.now();
  const files = await vitestReport({
    repository,
    config: "vitest.security.config.ts",
    files: filesWithCases(repository),
  });
  const tests = files.flatMap(({ name, assertionResults }) =>
    assertionResults.map((test) => ({ ...test, file: name })),
  );
  const cases = casesAmong(tests, repository).sort((a, b) => (a.matrix < b.matrix ? -1 : a.matrix > b.matrix ? 1 : 0));

  const columns = [{ title: "" }, { title: "case", maxWidth: 110 }, { title: "outcome" }, { title: "file" }] as const;
  const rows = cases.map(({ matrix, title, outcome, file }) => [matrix, title, outcome, file]);
  console.log(tableLines(columns, rows).join("\n"));

  const counts = countsOf(cases);
  for (const [letter, { subject, fewest }] of Object.entries(matrices)) {
    console.log(`${letter}: ${subject}: ${counts[letter as keyof typeof counts]} cases (at least ${fewest})`);
  }
  const messages = tests
    .filter(isFailed)
    .map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0] ?? ""}`);
  const faults = [...faultsOf(cases), ...brokenFiles(files)];
  for (const line of [...faults, ...messages]) console.error(line);
  console.log(JSON.stringify({ ...counts, faults: faults.length, seconds: (Date.now() - startedMs) / 1000 }));
  return faults.length === 0 ? 0 : 1;
}

process.exitCode = await main();
