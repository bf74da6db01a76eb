import { describe, expect, it } from "vitest";
import { canonicalJson } from "./canonical-json.js";

describe("canonicalJson()", () => {
  it("gives equal values equal bytes, whatever the order of their keys", () => {
    const one = { b: [1, { d: null, c: "x" }], a: true, left: undefined };
    const other = { a: true, b: [1, { c: "x", d: null }] };
    expect(canonicalJson(one)).toBe('{"a":true,"b":[1,{"c":"x","d":null}]}');
    expect(canonicalJson(one)).toBe(canonicalJson(other));
  });
});
