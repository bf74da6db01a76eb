import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { decodeInvitation, encodeInvitation, hashToken, type Invitation, tokenMatches } from "./invitation.js";

const invitation: Invitation = {
  federation: "demo",
  siteId: "hospital-a",
  host: "coordinator.example",
  enrolmentPort: 7443,
  port: 8443,
  secret: new Uint8Array(randomBytes(32)),
  pin: new Uint8Array(randomBytes(32)),
};

describe("invitation", () => {
  it("survives a round trip, also through a mail program that wraps lines", () => {
    const text = encodeInvitation(invitation);
    expect(text).toMatch(/^consilium-invite-v1\.[A-Za-z0-9_-]+$/);
    expect(decodeInvitation(text)).toEqual(invitation);
    expect(decodeInvitation(`  ${text.slice(0, 70)}\r\n${text.slice(70)}\n`)).toEqual(invitation);
  });

  it.each([
    ["nothing", ""],
    ["another prefix", "consilium-invite-v2.e30"],
    ["no JSON", "consilium-invite-v1.AAAA"],
    ["missing fields", "consilium-invite-v1.e30"],
    ["something huge", `consilium-invite-v1.${"A".repeat(5000)}`],
  ])("refuses %s", (_what, text) => {
    expect(() => decodeInvitation(text)).toThrowError(expect.objectContaining({ code: "token-refused" }));
  });

  it("refuses a text that was cut", () => {
    const text = encodeInvitation(invitation);
    expect(() => decodeInvitation(text.slice(0, -10))).toThrow(/incomplete or damaged/);
  });

  it("refuses to write a host that cannot be dialled", () => {
    expect(() => encodeInvitation({ ...invitation, host: "a b" })).toThrow(/cannot be dialled/);
  });
});

describe("token", () => {
  it("matches its own hash only", () => {
    const hash = hashToken(invitation.secret);
    expect(tokenMatches(invitation.secret, hash)).toBe(true);
    expect(tokenMatches(new Uint8Array(32), hash)).toBe(false);
    expect(tokenMatches(invitation.secret, "")).toBe(false);
    expect(tokenMatches(invitation.secret, "zz")).toBe(false);
  });
});
