import { describe, expect, it } from "vitest";
import { IdentityKey } from "../identity/identity-key.js";
import { testGovernance, testRoster } from "./example-governance.js";
import { membersOf, rosterDigest } from "./roster.js";
import { mostRosterBytes, parseSignedRoster, signedRosterBytes, signedRosterText, signersOf } from "./signed-roster.js";

const trust = testGovernance();
const members = { a: IdentityKey.generate().publicKey, b: IdentityKey.generate().publicKey };
const signed = testRoster(members, trust);
const refusal = (reason: RegExp) =>
  expect.objectContaining({ code: "roster-refused", message: expect.stringMatching(reason) });
/** Reads the file with another value in one place. */
const readWith = (path: readonly string[], value: unknown) => () => {
  const document: unknown = JSON.parse(signedRosterText(signed));
  const parent = path.slice(0, -1).reduce<unknown>((part, key) => Reflect.get(Object(part), key), document);
  Reflect.set(Object(parent), path.at(-1)!, value);
  return parseSignedRoster(JSON.stringify(document));
};

describe("a roster file", () => {
  it("is read as it was written, in either form", () => {
    expect(parseSignedRoster(signedRosterText(signed))).toEqual(signed);
    expect(parseSignedRoster(signedRosterBytes(signed))).toEqual(signed);
    expect(membersOf(signed.roster)).toEqual(new Map(Object.entries(members)));
  });

  it("has a digest that does not depend on how it is written", () => {
    const { sites, ...rest } = signed.roster;
    expect(rosterDigest({ sites, ...rest })).toBe(rosterDigest(signed.roster));
    expect(rosterDigest({ ...signed.roster, validUntil: "2029-01-01T00:00:00Z" })).not.toBe(
      rosterDigest(signed.roster),
    );
  });

  it("names its signers, each once, and only where the signature holds", () => {
    const [first, second] = signed.signatures;
    expect(signersOf(signed)).toEqual(new Set(trust.governance.keys.slice(0, 2)));
    const forged = { ...second!, signature: first!.signature };
    expect(signersOf({ ...signed, signatures: [first!, first!, forged] })).toEqual(new Set([first!.key]));
  });

  it("that is no JSON object is refused", () => {
    expect(() => parseSignedRoster("{")).toThrow(refusal(/not JSON/));
    expect(() => parseSignedRoster("null")).toThrow(refusal(/./));
  });

  it("is refused in plain words", () => {
    expect(() => parseSignedRoster("null")).toThrow(/cannot be read: the document: has no value; it must be keys/);
    expect(readWith(["roster", "version"], "one")).toThrow(/"roster\.version": must be a number, not "one"$/);
    expect(readWith(["roster", "floors", "minCohort"], undefined)).toThrow(/"roster\.floors\.minCohort": is missing$/);
    expect(readWith(["roster", "comment"], "x")).toThrow(/unknown key "roster\.comment"$/);
  });

  it("names the sites that have the same key", () => {
    const key = signed.roster.sites[0]!.identityKey;
    expect(readWith(["roster", "sites", "1", "identityKey"], key)).toThrow(/a key twice: a and b have the same$/);
  });

  const [firstSite, secondSite] = signed.roster.sites;
  it.each<[string, string, unknown]>([
    ["note", "note", "x"],
    ["roster.comment", "comment", "x"],
    ["roster.sites.0.role", "role", "x"],
    ["roster.sites", "sorted", [secondSite, firstSite]],
    ["roster.sites.1.siteId", "each id once", "a"],
    ["roster.sites.1.identityKey", "a key twice", firstSite!.identityKey],
    ["roster.sites.0.siteId", "siteId", "../a"],
    ["roster.sites.0.organisation", "organisation", "A\u001b[2J"],
    ["roster.previous", "previous", "1".repeat(64)],
    ["roster.version", "version", 1.5],
    ["roster.version", "previous", 2],
    ["roster.validUntil", "validUntil", "2027-13-01T00:00:00Z"],
    ["roster.floors", "floors", { minCohort: 2, maxColluders: 1 }],
    ["signatures.0.signature", "signature", "00"],
  ])("with another %s is refused, which names %s", (path, named, value) => {
    expect(readWith(path.split("."), value)).toThrow(refusal(new RegExp(named)));
  });

  it("of any size is refused without being parsed", () => {
    expect(() => parseSignedRoster(" ".repeat(mostRosterBytes + 1))).toThrow(refusal(/more than/));
  });
});
