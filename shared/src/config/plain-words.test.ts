import { describe, expect, it } from "vitest";
import { z } from "zod";
import { plainWords } from "./plain-words.js";

const schema = z.strictObject({
  text: z.string().min(1),
  word: z.string().regex(/^a+$/),
  rate: z.number().positive().max(2),
  share: z.number().min(0).lt(1),
  count: z.number().int().min(3),
  flag: z.boolean(),
  list: z.array(z.string()).min(1).max(2),
  pair: z.tuple([z.number(), z.number()]),
  method: z.enum(["dino", "simclr"]),
  version: z.literal(1),
  keep: z.union([z.literal("all"), z.number().int().min(1)]),
  who: z.union([z.literal("everyone"), z.array(z.string())]),
  inner: z.strictObject({ size: z.number() }),
  table: z.record(z.string(), z.number()),
  own: z.string().regex(/^b+$/, "must be all b"),
});
const good = {
  ...{ text: "x", word: "a", rate: 1, share: 0, count: 3, flag: true, list: ["x"], pair: [1, 2], method: "dino" },
  ...{ version: 1, keep: "all", who: [], inner: { size: 1 }, table: {}, own: "b" },
};

const wordsFor = (key: string, value: unknown): string | undefined =>
  schema.safeParse({ ...good, [key]: value }, plainWords).error?.issues[0]?.message;

describe("what does not fit a schema", () => {
  it("is told for the example to fit", () => {
    expect(schema.safeParse(good).success).toBe(true);
  });

  it.each<[string, unknown, string]>([
    ["text", undefined, "is missing"],
    ["method", undefined, "is missing"],
    ["keep", undefined, "is missing"],
    ["inner", undefined, "is missing"],
    ["rate", null, "has no value; it must be a number"],
    ["rate", "two", 'must be a number, not "two"'],
    ["rate", Number.NaN, "must be a number, not NaN"],
    ["rate", 0, "must be above 0"],
    ["rate", 3, "must be at most 2"],
    ["share", -1, "must be at least 0"],
    ["share", 1, "must be below 1"],
    ["count", 3.5, "must be a whole number, not 3.5"],
    ["count", 1, "must be at least 3"],
    ["text", 4, "must be text, not 4"],
    ["text", "", "must not be empty"],
    ["word", "b", "must be written in another form"],
    ["flag", "yes", 'must be true or false, not "yes"'],
    ["list", "x", 'must be a list, not "x"'],
    ["list", [], "must not be empty"],
    ["list", ["a", "b", "c"], "must have at most 2 entries"],
    ["pair", [1], "must have at least 2 entries"],
    ["method", "dinu", "must be one of dino, simclr, not \"dinu\" — did you mean 'dino'?"],
    ["version", 2, "must be 1, not 2"],
    ["keep", 0, "must be at least 1"],
    ["keep", "none", 'must be all or a number, not "none"'],
    ["who", 3, "must be everyone or a list, not 3"],
    ["inner", [1], "must be keys with values, not a list"],
    ["table", 5, "must be keys with values, not 5"],
    ["own", "c", "must be all b"],
  ])("in %s as %o is told in plain words", (key, value, words) => {
    expect(wordsFor(key, value)).toBe(words);
  });

  it("is quoted shortly, without what a terminal obeys", () => {
    expect(wordsFor("rate", `\u001b[2J${"x".repeat(1000)}`)).toBe(
      `must be a number, not "\ufffd[2J${"x".repeat(36)}…"`,
    );
  });
});
