import { describe, expect, it } from "vitest";
import { repository } from "../mutations/site-checks.js";
import { casesAmong, countsOf, faultsOf, filesWithCases, matrices, type SecurityCase } from "./cases.js";

const caseOf = (matrix: SecurityCase["matrix"], number: number, outcome: SecurityCase["outcome"] = "passed") => {
  return { matrix, title: `case ${number}`, outcome, file: "x.test.ts" };
};
const full = (Object.keys(matrices) as SecurityCase["matrix"][]).flatMap((matrix) =>
  Array.from({ length: matrices[matrix].fewest }, (_, number) => caseOf(matrix, number)),
);

describe("the security table", () => {
  it("knows its cases by the letter at the beginning of their titles", () => {
    const tests = [
      { title: "K: a gap", status: "passed", file: "/r/test/x.test.ts" },
      { title: "L: a stranger", status: "skipped", file: "/r/test/x.test.ts" },
      { title: "M: no matrix of this table", status: "passed", file: "/r/test/x.test.ts" },
      { title: "is about K: nothing", status: "passed", file: "/r/test/x.test.ts" },
    ];
    expect(casesAmong(tests, "/r")).toEqual([
      { matrix: "K", title: "a gap", outcome: "passed", file: "test/x.test.ts" },
      { matrix: "L", title: "a stranger", outcome: "not run", file: "test/x.test.ts" },
    ]);
  });

  it("is right when every case passed and no matrix has too few", () => {
    expect(faultsOf(full)).toEqual([]);
    expect(countsOf([...full, caseOf("K", 0)])).toEqual(countsOf(full));
  });

  it("is wrong when a case failed or did not run, or one is missing", () => {
    expect(faultsOf([...full, caseOf("J", 99, "failed"), caseOf("L", 99, "not run")])).toEqual([
      "J: case 99: failed",
      "L: case 99: not run",
    ]);
    expect(faultsOf(full.slice(1))).toEqual([`J has ${matrices.J.fewest - 1} cases of at least ${matrices.J.fewest}`]);
  });

  it("finds the files that hold cases, and not itself", () => {
    const files = filesWithCases(repository);
    expect(files).not.toContain("test/security/table/cases.test.ts");
    expect(files.every((file) => file.endsWith(".test.ts"))).toBe(true);
  });
});
