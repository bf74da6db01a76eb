import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** The matrices of the security table, and how many cases each must have. */
export const matrices = {
  J: { subject: "certificates", fewest: 32 },
  K: { subject: "a malicious site", fewest: 37 },
  L: { subject: "a malicious coordinator", fewest: 24 },
} as const;

export type Matrix = keyof typeof matrices;

export interface SecurityCase {
  readonly matrix: Matrix;
  /** What the test's title says after its letter. */
  readonly title: string;
  readonly outcome: "passed" | "failed" | "not run";
  readonly file: string;
}

export interface RunTest {
  readonly title: string;
  readonly status: string;
  /** Absolute path of its file. */
  readonly file: string;
}

const caseTitle = /^([JKL]): (.+)$/s;
const writtenTitle = /["'`][JKL]: /;

/** The cases among tests that ran: those whose title begins with a matrix's letter. */
export function casesAmong(tests: readonly RunTest[], repository: string): SecurityCase[] {
  return tests.flatMap(({ title, status, file }) => {
    const [, matrix, text] = caseTitle.exec(title) ?? [];
    if (!isMatrix(matrix) || text === undefined) return [];
    const outcome = status === "passed" || status === "failed" ? status : "not run";
    return [{ matrix, title: text, outcome, file: relative(repository, file).replaceAll("\\", "/") }];
  });
}

function isMatrix(letter: string | undefined): letter is Matrix {
  return letter !== undefined && Object.hasOwn(matrices, letter);
}

/** What is wrong with the table: cases that did not pass, matrices with too few, one case told twice. */
export function faultsOf(cases: readonly SecurityCase[]): string[] {
  const notPassed = cases
    .filter(({ outcome }) => outcome !== "passed")
    .map(({ matrix, title, outcome }) => `${matrix}: ${title}: ${outcome}`);
  const tooFew = Object.entries(countsOf(cases))
    .filter(([matrix, count]) => count < matrices[matrix as Matrix].fewest)
    .map(([matrix, count]) => `${matrix} has ${count} cases of at least ${matrices[matrix as Matrix].fewest}`);
  return [...notPassed, ...tooFew];
}

/** Different cases of each matrix: one that two files tell counts once. */
export function countsOf(cases: readonly SecurityCase[]): Record<Matrix, number> {
  const count = (matrix: Matrix) =>
    new Set(cases.filter((one) => one.matrix === matrix).map(({ title }) => title)).size;
  return { J: count("J"), K: count("K"), L: count("L") };
}

/** Test files below these folders that have a case's title in them, and all of `test/security`. */
export function filesWithCases(repository: string): string[] {
  return ["shared/src", "coordinator/src", "site-agent/src", "test"].flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .filter((path) => path.endsWith(".test.ts") && !path.includes("node_modules/"))
      .filter((path) => !path.startsWith("test/security/table/"))
      .filter((path) => writtenTitle.test(readFileSync(join(repository, path), "utf8")))
      .sort(),
  );
}
