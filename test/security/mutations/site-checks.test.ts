import { describe, expect, it } from "vitest";
import { checksOf, findSiteChecks, withoutCheck } from "./site-checks.js";

const marked = (statement: string) => `function f(x: number): void {\n  // site-check: a-check\n  ${statement}\n}\n`;

describe("a mark above a check", () => {
  it.each([
    ["if (x > 1) throw new Error('é');", ""],
    ["if (x > 1) {\n    throw new Error();\n  }", ""],
    ["requireSmall(x);", ""],
    ["const rules = [\n  // site-check: other\n  ['a', 1],\n  ['b', 2],\n];", "const rules = [ ['b', 2], ];"],
  ])("takes out exactly the statement or element below it: %s", (statement, left) => {
    const text = marked(statement).replace(statement.startsWith("const") ? "  // site-check: a-check\n" : "\0", "");
    const [check] = checksOf("x.ts", text);
    const rest = withoutCheck(text, check!);
    expect(rest.split("\n")).toHaveLength(text.split("\n").length);
    const code = rest.replaceAll(/\/\/.*$/gm, "").replaceAll(/\s+/g, " ");
    expect(code.trim()).toBe(`function f(x: number): void { ${left === "" ? "" : `${left} `}}`);
  });

  it.each([
    ["const y = x;", /no statement that can be removed/],
    ["return;", /no statement that can be removed/],
  ])("is refused above what cannot be taken out: %s", (statement, reason) => {
    expect(() => checksOf("x.ts", marked(statement))).toThrow(reason);
  });

  it("has a name in kebab-case", () => {
    expect(() => checksOf("x.ts", marked("f();").replace("a-check", "A check"))).toThrow(/kebab-case/);
  });
});

describe("the site's checks", () => {
  it("are marked, each under a name of its own", () => {
    expect(findSiteChecks().length).toBeGreaterThanOrEqual(20);
  });
});
