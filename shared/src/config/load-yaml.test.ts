import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { loadYaml, parseYaml } from "./load-yaml.js";

const schema = z.strictObject({
  name: z.string(),
  nested: z.strictObject({ size: z.number().int(), list: z.array(z.string()).default([]) }),
});

const problemsOf = (text: string): string => {
  try {
    parseYaml(text, schema, "run.yaml");
  } catch (error) {
    return (error as Error).message;
  }
  return "none";
};

describe("parseYaml()", () => {
  it("returns the value with defaults filled in", () => {
    expect(parseYaml("name: a\nnested: { size: 3 }\n", schema, "run.yaml")).toEqual({
      name: "a",
      nested: { size: 3, list: [] },
    });
  });

  it("names the line of an unknown key, at the top and inside", () => {
    expect(problemsOf("name: a\nnested:\n  size: 3\n  sise: 4\n")).toBe(
      "run.yaml:4: unknown key 'nested.sise' — did you mean 'size'?",
    );
    expect(problemsOf("name: a\ncolour: red\nnested: { size: 3 }\n")).toBe("run.yaml:2: unknown key 'colour'");
  });

  it("reports every problem, in the order of lines", () => {
    const problems = problemsOf("name: 4\nnested:\n  size: 1.5\n  list: [1]\n").split("\n");
    expect(problems.map((line) => line.split(": ")[0])).toEqual(["run.yaml:1", "run.yaml:3", "run.yaml:4"]);
  });

  it("points a missing key at the mapping that lacks it", () => {
    expect(problemsOf("name: a\nnested:\n  list: []\n")).toMatch(/^run\.yaml:3: nested\.size: /);
    expect(problemsOf("name: a\n")).toMatch(/^run\.yaml:1: nested: /);
  });

  it("refuses text that is not YAML, keys given twice and alias bombs", () => {
    expect(problemsOf("name: [a\n")).toMatch(/^run\.yaml:\d+: /);
    expect(problemsOf("name: a\nname: b\nnested: { size: 1 }\n")).toMatch(/run\.yaml:2: .*unique/);
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"];
    for (const [from, to] of ["ab", "bc", "cd", "de"])
      bomb.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(", ")}]`);
    expect(problemsOf(bomb.join("\n"))).toMatch(/alias/i);
  });
});

describe("text that nobody wrote", () => {
  it("is refused at once where it is too long to be settings", () => {
    expect(problemsOf(`name: a\n${"# more\n".repeat(10_000)}`)).toMatch(/^run\.yaml:1: 70008 characters are more than/);
  });

  it("is refused where values stand deeper inside each other than a stack holds", () => {
    const rows = ['{"a":', "[", "- ", "? ", "-\t"].map((open) => open.repeat(12_000));
    for (const deep of [...rows, `{${'"a":'.repeat(12_000)}`, `"b": ${"[],".repeat(9)}${"{a: [".repeat(6000)}`]) {
      expect(problemsOf(deep)).toBe("run.yaml:1: values stand too deep inside each other");
    }
  });

  it("may have any number of brackets and dashes that open nothing", () => {
    expect(problemsOf(`name: "${"[".repeat(1000)}"\nnested: { size: 1 } # ${"- ".repeat(1000)}\n`)).toBe("none");
    expect(problemsOf(`name: a\nnested:\n  size: 1\n  list:\n${"    - b\n".repeat(1000)}`)).toBe("none");
  });

  it("is answered in a moment, with as many problems as a person reads", () => {
    const keys = Array.from({ length: 5000 }, (_, index) => `${"k".repeat(index % 5)}${index}: 1`);
    const startedMs = performance.now();
    expect(problemsOf(keys.join("\n")).split("\n")).toHaveLength(50);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(problemsOf(`${"name".repeat(100)}: 1`)).toMatch(/unknown key '(name){15}…'$/m);
  });

  it("writes nothing to the terminal", () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    expect(problemsOf("{ name: a, { b: c }: d }")).toMatch(/^run\.yaml:1: unknown key/m);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it("may repeat a key in mappings of their own, and in none twice", () => {
    const text = "name: a\nnested:\n  size: 1\n  size: 2\n  list: [{ size: 1 }, { size: 1, 'size': 2 }]\n";
    expect(problemsOf(text)).toBe("run.yaml:4: keys must be unique\nrun.yaml:5: keys must be unique");
  });
});

describe("loadYaml()", () => {
  it("names a file that cannot be read", () => {
    expect(() => loadYaml("/nowhere/run.yaml", schema)).toThrow(/\/nowhere\/run\.yaml: cannot be read \(ENOENT\)/);
  });

  it("reads a file", () => {
    const path = join(mkdtempSync(join(tmpdir(), "yaml-")), "a.yaml");
    writeFileSync(path, "name: x\nnested: { size: 1 }\n");
    expect(loadYaml(path, schema).nested.size).toBe(1);
  });
});
