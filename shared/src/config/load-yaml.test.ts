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

  it("says what is wrong in plain words", () => {
    expect(problemsOf("name: 4\nnested: { list: 5 }\n")).toBe(
      "run.yaml:1: name: must be text, not 4\n" +
        "run.yaml:2: nested.size: is missing\n" +
        "run.yaml:2: nested.list: must be a list, not 5",
    );
    expect(problemsOf("")).toBe("run.yaml:1: the file is empty");
    expect(problemsOf("# nothing\n")).toBe("run.yaml:1: the file is empty");
    expect(problemsOf("- a\n")).toBe("run.yaml:1: the file must be keys with values, not a list");
  });

  it("quotes little of what it cannot read", () => {
    expect(problemsOf(`name: a\n\u0007${"x".repeat(5000)}: [\n`).length).toBeLessThan(2000);
    const shown = problemsOf(`name: [a\n%${"x".repeat(5000)}\u0007\n`);
    expect([shown.includes("\u0007"), shown.includes("x".repeat(401))]).toEqual([false, false]);
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

  const written = (content: string | Uint8Array): string => {
    const path = join(mkdtempSync(join(tmpdir(), "yaml-")), "a.yaml");
    writeFileSync(path, content);
    return path;
  };

  it("reads a file, with the mark of UTF-8 before it or without", () => {
    expect(loadYaml(written("name: x\nnested: { size: 1 }\n"), schema).nested.size).toBe(1);
    expect(loadYaml(written("\ufeffname: é\nnested: { size: 1 }\n"), schema).name).toBe("é");
  });

  it.each([
    ["an image", Buffer.from("ffd8ffe000104a46494600", "hex")],
    ["text in another encoding", Buffer.from("name: Zürich", "latin1")],
    ["text of two bytes a letter", Buffer.from("name: x", "utf16le")],
  ])("says of %s that it is not a text file, and repeats nothing of it", (_, content) => {
    const path = written(content);
    expect(() => loadYaml(path, schema)).toThrow(
      expect.objectContaining({ code: "config-invalid", message: `${path} is not a text file` }),
    );
  });
});
