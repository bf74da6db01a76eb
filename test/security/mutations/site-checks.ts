import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAst } from "vitest/node";

/** One check that protects a hospital: the statement, or the element of a list, that stands below its mark. */
export interface SiteCheck {
  readonly name: string;
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  /** Of the mark, from 1. */
  readonly line: number;
  /** Where the statement begins and ends in the file's text, without a comma after it. */
  readonly start: number;
  readonly end: number;
  readonly kind: "statement" | "element";
}

type Piece = Pick<SiteCheck, "end" | "kind">;

export const repository = resolve(fileURLToPath(new URL("../../..", import.meta.url)));
const folders = ["site-agent/src", "shared/src"];
const mark = /^[ \t]*\/\/ site-check: (.*)$/gm;
const namePattern = /^[a-z][a-z0-9-]*$/;
/** Without these, what is left still compiles; a declaration, a return or an else would leave something else behind. */
const removable: readonly unknown[] = ["IfStatement", "ExpressionStatement"];

/** Every check of the site's sources, by path and line. @throws Error for a name given twice, or a mark above no check */
export function findSiteChecks(): SiteCheck[] {
  const checks = folders.flatMap((folder) => sourcesBelow(join(repository, folder))).flatMap(checksOfFile);
  const names = new Map<string, SiteCheck>();
  for (const check of checks) {
    const other = names.get(check.name);
    if (other !== undefined) throw new Error(`${where(check)} and ${where(other)}: both are called ${check.name}`);
    names.set(check.name, check);
  }
  return checks;
}

function sourcesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return entry.name === "gen" ? [] : sourcesBelow(path);
      return entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts") ? [path] : [];
    });
}

function checksOfFile(absolute: string): SiteCheck[] {
  return checksOf(relative(repository, absolute).replaceAll("\\", "/"), readFileSync(absolute, "utf8"));
}

/** The checks marked in one file's text. @throws Error as `findSiteChecks` */
export function checksOf(path: string, text: string): SiteCheck[] {
  const marks = [...text.matchAll(mark)];
  if (marks.length === 0) return [];
  const pieces = removablePieces(parseAst(text, { lang: "ts" }, path), text);
  return marks.map((found) => {
    const name = found[1]!.trim();
    const line = text.slice(0, found.index).split("\n").length;
    if (!namePattern.test(name)) throw new Error(`${path}:${line}: "${name}" is not a name in kebab-case`);
    const start = found.index + found[0].length + /^\s*/.exec(text.slice(found.index + found[0].length))![0].length;
    const piece = pieces.get(start);
    if (piece === undefined) throw new Error(`${path}:${line}: no statement that can be removed stands below ${name}`);
    return { name, path, line, start, ...piece };
  });
}

/** Where each piece that can go begins, and where it ends. */
function removablePieces(node: unknown, text: string, pieces = new Map<number, Piece>()): Map<number, Piece> {
  if (Array.isArray(node)) for (const child of node) removablePieces(child, text, pieces);
  if (!isNode(node)) return pieces;
  if (removable.includes(node.type)) pieces.set(node.start, { end: node.end, kind: "statement" });
  if (node.type === "ArrayExpression" && Array.isArray(node["elements"])) {
    for (const element of node["elements"]) {
      if (isNode(element)) pieces.set(element.start, { end: element.end, kind: "element" });
    }
  }
  for (const child of Object.values(node)) removablePieces(child, text, pieces);
  return pieces;
}

interface SyntaxNode extends Readonly<Record<string, unknown>> {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value;
}

export const where = ({ path, line }: Pick<SiteCheck, "path" | "line">): string => `${path}:${line}`;

/** The global variable that names the check which is left out. No program knows of it: only transformed sources read it. */
export const removedVariable = "removedSiteCheck";

/** The file's text with each check made only while it is not the removed one; lines keep their numbers. */
export function switchable(text: string, checks: readonly SiteCheck[]): string {
  let result = text;
  for (const { name, start, end, kind } of [...checks].sort((a, b) => b.start - a.start)) {
    const present = `globalThis.${removedVariable} !== ${JSON.stringify(name)}`;
    const piece = result.slice(start, end);
    const switched = kind === "statement" ? `if (${present}) ${piece}` : `...(${present} ? [${piece}] : [])`;
    result = result.slice(0, start) + switched + result.slice(end);
  }
  return result;
}
