import { describe, expect, it } from "vitest";
import { checksOf, findSiteChecks, switchable } from "./site-checks.js";

const marked = (statement: string) => `function f(x: number): void {\n  // site-check: a-check\n  ${statement}\n}\n`;

describe("a mark above a check", () => {
  it.each([
    ["if (x > 1) throw new Error('é');", ["if (1) if (x > 1) throw new Error('é');"]],
    ["if (x > 1) {\n    throw new Error();\n  }", ["if (1) if (x > 1) { throw new Error(); }"]],
    ["requireSmall(x);", ["if (1) requireSmall(x);"]],
    [
      "const rules = [\n  // site-check: other\n  ['a', 1],\n  ['b', 2],\n];",
      ["const rules = [ ...(1 ? [['a', 1]] : []), ['b', 2], ];"],
    ],
  ])("puts a switch before exactly the statement or element below it: %s", (statement, [switched]) => {
    const text = marked(statement).replace(statement.startsWith("const") ? "  // site-check: a-check\n" : "\0", "");
    const checks = checksOf("x.ts", text);
    const rest = switchable(text, checks);
    expect(rest.split("\n")).toHaveLength(text.split("\n").length);
    const present = `globalThis.removedSiteCheck !== "${checks[0]!.name}"`;
    expect(rest).toContain(present);
    const code = rest
      .replace(present, "1")
      .replaceAll(/\/\/.*$/gm, "")
      .replaceAll(/\s+/g, " ");
    expect(code.trim()).toBe(`function f(x: number): void { ${switched} }`);
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
