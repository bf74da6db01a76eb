import { describe, expect, it } from "vitest";
import { ManualClock } from "../clock.js";
import type { Role } from "../identity/peer-identity.js";
import { type AccessTable, type Authorisation, assertComplete, assertMayCall } from "./authorisation.js";
import type { Caller } from "./caller.js";

const path = "/consilium.v1.FederationService/Report";
const caller = (role: Role, federation = "demo"): Caller => ({
  identity: { federation, role, id: "a" },
  serial: "40",
  fingerprint: "ab",
  notBeforeMs: 1000,
  notAfterMs: 2000,
});
const rules = (changes: Partial<Authorisation> = {}): Authorisation => ({
  federation: "demo",
  table: { [path]: ["site"] },
  isRevoked: () => false,
  clock: new ManualClock(1500),
  ...changes,
});

describe("assertMayCall", () => {
  it("lets in whom the table names", () => {
    expect(assertMayCall(caller("site"), path, rules()).identity.id).toBe("a");
  });

  it.each([
    ["no certificate", undefined, path, rules(), "certificate-refused"],
    ["another role", caller("researcher"), path, rules(), "not-authorised"],
    ["a method without an entry", caller("site"), "/x/Y", rules(), "not-authorised"],
    ["a method named like a property of every object", caller("site"), "constructor", rules(), "not-authorised"],
    ["a closed method", caller("site"), path, rules({ table: { [path]: [] } }), "not-authorised"],
    ["another federation", caller("site", "other"), path, rules(), "certificate-refused"],
    ["a revoked certificate", caller("site"), path, rules({ isRevoked: () => true }), "certificate-refused"],
    ["an expired one", caller("site"), path, rules({ clock: new ManualClock(2001) }), "certificate-refused"],
    ["one not yet valid", caller("site"), path, rules({ clock: new ManualClock(999) }), "certificate-refused"],
  ] as const)("refuses %s", (_what, who, method, authorisation, code) => {
    expect(() => assertMayCall(who, method, authorisation)).toThrowError(expect.objectContaining({ code }));
  });
});

describe("a caller of another role", () => {
  const refusedFrom = (role: Role, method: string, table: AccessTable) => {
    try {
      return assertMayCall(caller(role), method, rules({ table }));
    } catch (thrown) {
      return thrown;
    }
  };
  const invite = "/consilium.v1.AdminService/InviteSite";

  it("is told in words what it may not do, and whose credentials may", () => {
    expect(refusedFrom("researcher", invite, { [invite]: ["operator"] })).toMatchObject({
      message: "Only an operator may do this (invite site), not a researcher.",
      remedy: "Use the credentials of an operator (--profile).",
    });
    expect(refusedFrom("operator", path, { [path]: ["site"] })).toMatchObject({
      message: "Only a site may do this (report), not an operator.",
    });
  });

  it("does not get back a path that it made up", () => {
    expect(refusedFrom("site", "/x/Secret", {})).toMatchObject({ message: "Nobody may do this." });
  });
});

describe("assertComplete", () => {
  const table: AccessTable = { [path]: ["site"] };

  it("accepts a table with exactly the served methods", () => {
    expect(() => assertComplete(table, [path])).not.toThrow();
  });

  it("names the method that has no entry and the entry that has no method", () => {
    expect(() => assertComplete(table, [path, "/a/B"])).toThrow(/\/a\/B has no entry/);
    expect(() => assertComplete(table, [])).toThrow(/Report is not a method/);
  });
});
