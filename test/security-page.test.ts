import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = ["shared", "coordinator", "site-agent", "test"];
const files = folders
  .flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
  )
  .filter((path) => !/node_modules|\/dist\//.test(path));

const page = readFileSync(`${root}/docs/security.md`, "utf8");
const rows = page
  .slice(page.indexOf("## What stops what"), page.indexOf("## What does not"))
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| attack"))
  .map((line) => line.slice(1, -1).split(" | "));

const quoted = (cell = ""): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
/** a/{b,c}.ts: a/b.ts and a/c.ts */
const expanded = (text: string): string[] => {
  const [, before, choices, after] = /^(.*)\{(.*)\}(.*)$/.exec(text) ?? [];
  return choices === undefined ? [text] : choices.split(",").map((choice) => `${before}${choice}${after}`);
};

describe("the table of docs/security.md", () => {
  it("has a row for each attack, with places in the code and tests", () => {
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.filter((cells) => cells.length !== 4)).toEqual([]);
  });

  it.each(rows.map(([attack = "", , where, tests]) => ({ attack, where, tests })))("$attack", ({ where, tests }) => {
    const paths = quoted(where)
      .filter((text) => text.includes("/"))
      .flatMap(expanded);
    const gone = paths.filter((path) => !files.some((file) => file === path || file.startsWith(path)));
    const unknown = quoted(tests)
      .filter((name) => name.endsWith(".test.ts"))
      .filter((name) => !files.some((file) => file.endsWith(`/${name}`)));
    expect({ gone, unknown }).toEqual({ gone: [], unknown: [] });
    expect(tests).toMatch(/`|the same/);
  });
});
