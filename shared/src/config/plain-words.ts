import type { z } from "zod";
import { suggestion } from "./nearest-name.js";

/** What a person reads where a value does not fit its schema. A schema's own message goes before these. */

type Issue = z.core.$ZodIssue | z.core.$ZodRawIssue;

const longestQuote = 40;
const mostChoices = 20;

const kinds: Readonly<Record<string, string>> = {
  ...{ string: "text", number: "a number", int: "a whole number", boolean: "true or false", null: "empty" },
  ...{ array: "a list", tuple: "a list", set: "a list", object: "keys with values", record: "keys with values" },
};

const countedIn: Readonly<Record<string, string>> = {
  ...{ string: "characters", array: "entries", set: "entries", map: "entries" },
};

/** Given to `safeParse` as its second argument; the messages then complete "name: …". */
export const plainWords: z.core.ParseContext<z.core.$ZodIssue> = { error: messageOf };

function messageOf(issue: z.core.$ZodRawIssue): string {
  const { input } = issue;
  const demand = demandOf(issue);
  if (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union") {
    if (input === undefined) return "is missing";
    if (input === null) return `has no value; it must be ${demand}`;
    return `must be ${demand}, not ${quoted(input)}${nearest(issue, input)}`;
  }
  return demand.startsWith("have ") || demand.startsWith("not ") ? `must ${demand}` : `must be ${demand}`;
}

/** Completes "must be", or "must" where it has its own verb. */
function demandOf(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return kinds[issue.expected as string] ?? "of another kind";
    case "invalid_value":
      return choice((issue.values as readonly unknown[]).map(String));
    case "too_small":
      return bound(issue, issue.minimum as number | bigint, "at least", "above");
    case "too_big":
      return bound(issue, issue.maximum as number | bigint, "at most", "below");
    case "not_multiple_of":
      return `a multiple of ${String(issue.divisor)}`;
    case "unrecognized_keys":
      return "not have keys that are unknown here";
    case "invalid_union":
      return alternatives(issue.errors as readonly (readonly z.core.$ZodIssue[])[]);
    default:
      return "written in another form";
  }
}

function bound(issue: Issue, limit: number | bigint, inclusive: string, exclusive: string): string {
  const { origin, inclusive: isInclusive } = issue as { origin?: string; inclusive?: boolean };
  const least = `${isInclusive === false ? exclusive : inclusive} ${limit}`;
  const counted = countedIn[origin ?? ""];
  if (counted === undefined) return least;
  return least === "at least 1" ? "not be empty" : `have ${least} ${counted}`;
}

/** What the variants of a union ask of the value itself; of one that fits further in, only that it is of that kind. */
function alternatives(variants: readonly (readonly z.core.$ZodIssue[])[]): string {
  const demands = variants.map(([first]) => {
    if (first === undefined || first.path.length > 0) return "keys with values that fit";
    return first.code === "custom" || first.code === "invalid_format" ? "text that fits" : demandOf(first);
  });
  return demands.length === 0 ? "of another kind" : [...new Set(demands)].join(" or ");
}

function choice(values: readonly string[]): string {
  if (values.length === 1) return values[0]!;
  const shown = values.slice(0, mostChoices).join(", ");
  return `one of ${shown}${values.length > mostChoices ? ", …" : ""}`;
}

function nearest(issue: Issue, input: unknown): string {
  if (issue.code !== "invalid_value" || typeof input !== "string" || input.length > longestQuote) return "";
  const values = (issue.values as readonly unknown[]).map(String);
  return values.length === 1 ? "" : suggestion(input, values);
}

/** A value as it stands in a message: short, and without characters that a terminal obeys. */
export function quoted(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "keys with values";
  if (typeof value !== "string") return String(value);
  const shown = value.length > longestQuote ? `${value.slice(0, longestQuote)}…` : value;
  return `"${printable(shown)}"`;
}

/** The text with a mark in the place of each character that is not for reading. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd");
}
