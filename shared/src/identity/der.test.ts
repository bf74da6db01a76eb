import { describe, expect, it } from "vitest";
import { DerReader } from "./der.js";

const reader = (hex: string) => new DerReader(Buffer.from(hex, "hex"));

describe("DerReader", () => {
  it("walks one level and keeps the bytes as they were", () => {
    const fields = reader("3006020101020102").sequence();
    expect(Buffer.from(fields.next().whole).toString("hex")).toBe("020101");
    expect(fields.atEnd).toBe(false);
    fields.next();
    expect(fields.atEnd).toBe(true);
  });

  it.each([
    ["an empty input", ""],
    ["a length beyond the end", "300502"],
    ["an indefinite length", "3080020101000000"],
    ["a length in more bytes than needed", "308103020101"],
    ["a length padded with zero", "30820003020101"],
    ["a tag of several bytes", "1f8101020101"],
    ["a length of four bytes", "308400000001ff"],
  ])("refuses %s", (_what, hex) => {
    expect(() => reader(hex).next()).toThrowError(expect.objectContaining({ code: "certificate-refused" }));
  });

  it("refuses a trailing element where none may be", () => {
    const outer = reader("3003020101020102");
    outer.sequence();
    expect(() => outer.expectEnd()).toThrow();
  });
});
