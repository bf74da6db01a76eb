import { readFileSync } from "node:fs";
import { isScalar, Lexer, LineCounter, Parser, parseDocument, visit } from "yaml";
import { z } from "zod";
import { ConsiliumError } from "../errors.js";
import { suggestion } from "./nearest-name.js";
import { plainWords, printable } from "./plain-words.js";

/** No settings are nearly as long. */
const longestText = 64 * 1024;
const deepest = 64;
/** Who has more to correct than this has sent another file. */
const mostProblems = 50;
const longestKey = 60;
/** Characters of one problem, which may quote what it is about. */
const longestProblem = 400;

/**
 * Reads YAML strictly: every problem is reported at once, each with its line.
 * @throws ConsiliumError "config-missing" when the file is absent, "config-invalid" when it does not fit the schema.
 */
export function loadYaml<Schema extends z.ZodType>(path: string, schema: Schema): z.output<Schema> {
  return parseYaml(readText(path), schema, path);
}

function readText(path: string): string {
  const bytes = readBytes(path);
  try {
    return new TextDecoder("utf8", { fatal: true }).decode(bytes);
  } catch {
    throw notText(path);
  }
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ConsiliumError("config-missing", `${path}: cannot be read (${(cause as NodeJS.ErrnoException).code})`, {
      remedy: "check the path and the file's permissions",
      cause,
    });
  }
}

function notText(source: string): ConsiliumError {
  return new ConsiliumError("config-invalid", `${source} is not a text file`, {
    remedy: "check that this is the right file; settings are YAML in UTF-8",
  });
}

/** As loadYaml, for text that came another way; `source` names it in errors. Takes a moment at most, whatever the text is. */
export function parseYaml<Schema extends z.ZodType>(text: string, schema: Schema, source: string): z.output<Schema> {
  if (text.includes("\0")) throw notText(source);
  if (text.length > longestText) throw tooLong(source, text.length);
  if (isDeep(text)) throw tooDeep(source);
  const lines = new LineCounter();
  const document = parseDocument(text, readerOptions(lines));
  const lineOf = (path: readonly PropertyKey[], key?: string): number => lineOfPath(document, lines, path, key);
  const faults = [...document.errors.map(({ pos, message }) => ({ at: pos[0], message })), ...repeatedKeys(document)];
  const problems = faults
    .slice(0, mostProblems)
    .map(({ at, message }) => ({ line: lines.linePos(at).line, text: message }));
  if (problems.length === 0) {
    const isEmpty = document.contents === null;
    const result = schema.safeParse(expandAliases(document, source), plainWords);
    if (result.success) return result.data;
    const issues = result.error.issues.slice(0, mostProblems);
    problems.push(...issues.flatMap((issue) => issueLines(issue, { schema, lineOf, isEmpty })).slice(0, mostProblems));
  }
  problems.sort((a, b) => a.line - b.line);
  throw new ConsiliumError(
    "config-invalid",
    problems.map(({ line, text }) => `${source}:${line}: ${shortened(text)}`).join("\n"),
    { remedy: "correct the lines named above" },
  );
}

/** YAML's reader quotes what it stumbles over, however long that is. */
function shortened(text: string): string {
  const readable = printable(text);
  return readable.length > longestProblem ? `${readable.slice(0, longestProblem)}…` : readable;
}

/** YAML's reader looks for keys that come twice by comparing each with each, and writes its warnings to the terminal. */
function readerOptions(lineCounter: LineCounter) {
  return { lineCounter, uniqueKeys: false, prettyErrors: false, logLevel: "error" } as const;
}

/** Keys that were in their mapping before, with their place in the text. */
function repeatedKeys(document: ReturnType<typeof parseDocument>): { at: number; message: string }[] {
  const repeated: { at: number; message: string }[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        const name = isScalar(key) ? key.value : key;
        if (seen.has(name)) repeated.push({ at: isRanged(key) ? key.range[0] : 0, message: "keys must be unique" });
        seen.add(name);
      }
    },
  });
  return repeated;
}

/**
 * Whether values stand deeper inside each other than any settings do: YAML's reader would take all the memory or all the
 * stack there is. Its own first pass is asked as it goes, since brackets, dashes and colons alone do not tell how deep.
 */
function isDeep(text: string): boolean {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    // What it has found whole does not matter here, only what is still open.
    Array.from(parser.next(lexeme));
    if (parser.stack.length > deepest) return true;
  }
  return false;
}

function tooDeep(source: string): ConsiliumError {
  return new ConsiliumError("config-invalid", `${source}:1: values stand too deep inside each other`, {
    remedy: "check that this is the right file",
  });
}

function tooLong(source: string, length: number): ConsiliumError {
  return new ConsiliumError("config-invalid", `${source}:1: ${length} characters are more than ${longestText}`, {
    remedy: "check that this is the right file",
  });
}

/** Plain values of the document; a file that multiplies itself through aliases is refused. */
function expandAliases(document: ReturnType<typeof parseDocument>, source: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 50 });
  } catch (cause) {
    throw new ConsiliumError("config-invalid", `${source}:1: ${(cause as Error).message}`, {
      remedy: "write values out instead of repeating them through aliases",
      cause,
    });
  }
}

type Issue = z.core.$ZodIssue;
type Problem = { line: number; text: string };

/** What of a JSON schema names keys. */
interface KeySchema {
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly anyOf?: readonly KeySchema[];
  readonly oneOf?: readonly KeySchema[];
}

/** Every key that the schema knows below the path, whichever of its variants is meant. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let level = [z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as KeySchema];
  const variants = ({ anyOf = [], oneOf = [], ...own }: KeySchema): KeySchema[] => [
    own,
    ...[...anyOf, ...oneOf].flatMap(variants),
  ];
  for (const part of path) {
    level = level.flatMap(variants).flatMap(({ properties }) => properties?.[String(part)] ?? []);
  }
  return [...new Set(level.flatMap(variants).flatMap(({ properties = {} }) => Object.keys(properties)))];
}

interface Reading {
  readonly schema: z.ZodType;
  readonly lineOf: (path: readonly PropertyKey[], key?: string) => number;
  /** Nothing but comments. */
  readonly isEmpty: boolean;
}

function issueLines(issue: Issue, { schema, lineOf, isEmpty }: Reading): Problem[] {
  const where = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(schema, issue.path);
    return issue.keys.slice(0, mostProblems).map((key) => {
      const shown = key.length > longestKey ? `${key.slice(0, longestKey)}…` : key;
      const meant = key.length > longestKey ? "" : suggestion(key, known);
      return {
        line: lineOf(issue.path, key),
        text: `unknown key '${where === "" ? shown : `${where}.${shown}`}'${meant}`,
      };
    });
  }
  if (where !== "") return [{ line: lineOf(issue.path), text: `${where}: ${issue.message}` }];
  return [{ line: lineOf(issue.path), text: isEmpty ? "the file is empty" : `the file ${issue.message}` }];
}

/** Line of the deepest node on the path that exists; of the key itself when one is named. */
function lineOfPath(
  document: ReturnType<typeof parseDocument>,
  lines: LineCounter,
  path: readonly PropertyKey[],
  key?: string,
): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (!isRanged(node)) continue;
    if (key !== undefined && depth === path.length && "items" in node) {
      const pair = (node.items as { key?: unknown }[]).find(
        (item) => isRanged(item.key) && (item.key as { value?: unknown }).value === key,
      );
      if (pair !== undefined && isRanged(pair.key)) return lines.linePos(pair.key.range[0]).line;
    }
    return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function isRanged(node: unknown): node is { range: [number, number, number]; items?: unknown } {
  return typeof node === "object" && node !== null && Array.isArray((node as { range?: unknown }).range);
}
