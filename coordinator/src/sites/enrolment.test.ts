import { ManualClock } from "@consilium/shared/clock.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import Database from "better-sqlite3";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { migrate } from "../store/migrations.js";
import type { SiteStore } from "../store/site-store.js";
import { createSiteStore } from "../store/sqlite-site-store.js";
import { Enrolment, type EnrolmentRequest } from "./enrolment.js";

let clock: ManualClock;
let store: SiteStore;
let enrolment: Enrolment;
let issued: number;

beforeEach(() => {
  clock = new ManualClock(1_000_000);
  const database = new Database(":memory:");
  database.pragma("foreign_keys = ON");
  migrate(database, 0);
  store = createSiteStore(database);
  issued = 0;
  enrolment = new Enrolment({
    store,
    clock,
    entropy: systemEntropy,
    issue: async ({ siteId }) => {
      issued++;
      return { pem: `certificate ${issued} of ${siteId}`, serial: String(issued), expiresAtMs: 9_000_000 };
    },
  });
});

function requestWith(token: Uint8Array, change: Partial<EnrolmentRequest> = {}): EnrolmentRequest {
  const identityPublicKey = new Uint8Array(32).fill(7);
  return { siteId: "north", csrPem: "csr", identityPublicKey, token, address: "10.0.0.1", ...change };
}

describe("Enrolment", () => {
  it("turns an invitation into a certificate once, and repeats itself for the same request", async () => {
    const { token } = enrolment.invite("north", 24);
    expect(await enrolment.enrol(requestWith(token))).toBe("certificate 1 of north");
    expect(await enrolment.enrol(requestWith(token))).toBe("certificate 1 of north");
    expect(issued).toBe(1);
    await expect(enrolment.enrol(requestWith(token, { csrPem: "other" }))).rejects.toThrow(/already used/);
    expect(store.findSite("north")?.identityKey).toEqual(Buffer.alloc(32, 7));
  });

  it("answers two equal requests at once with one certificate", async () => {
    const { token } = enrolment.invite("north", 24);
    const [one, other] = await Promise.all([enrolment.enrol(requestWith(token)), enrolment.enrol(requestWith(token))]);
    expect(one).toBe(other);
  });

  it("enrols the sites of a storm in one commit, whatever becomes of the others in it", async () => {
    const commits = vi.spyOn(store, "enrol");
    const sites = ["north", "south", "west"];
    const tokens = sites.map((siteId) => enrolment.invite(siteId, 24).token);
    const requests = sites.map((siteId, index) => requestWith(tokens[index]!, { siteId }));
    // Two machines with one invitation: one of them is the site.
    const twice = requestWith(tokens[0]!, { csrPem: "other" });
    const outcomes = await Promise.allSettled([...requests, twice].map((request) => enrolment.enrol(request)));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected"]);
    expect(outcomes[3]).toMatchObject({ reason: { code: "token-refused" } });
    expect(store.listSites().map(({ siteId }) => siteId)).toEqual(sites);
    expect(commits).toHaveBeenCalledTimes(1);
  });

  it("gives nothing for an invitation that was withdrawn while the certificate was made", async () => {
    const { token } = enrolment.invite("north", 24);
    const answer = enrolment.enrol(requestWith(token));
    store.revokeSite("north", clock.now());
    await expect(answer).rejects.toMatchObject({ code: "token-refused" });
    expect(store.listSites()).toEqual([]);
  });

  it("keeps only the token's hash", () => {
    const { token } = enrolment.invite("north", 24);
    const [invitation] = store.listInvitations("north");
    expect(JSON.stringify(invitation)).not.toContain(Buffer.from(token).toString("hex"));
  });

  it("refuses an expired token, another site's token and an unknown one", async () => {
    const { token } = enrolment.invite("north", 1);
    await expect(enrolment.enrol(requestWith(token, { siteId: "south" }))).rejects.toThrow(/not known/);
    await expect(enrolment.enrol(requestWith(new Uint8Array(32)))).rejects.toThrow(/not known/);
    clock.advance(3_600_000);
    await expect(enrolment.enrol(requestWith(token))).rejects.toThrow(/expired/);
  });

  it("refuses malformed requests", async () => {
    const { token } = enrolment.invite("north", 24);
    for (const change of [{ siteId: "../north" }, { csrPem: "x".repeat(20_000) }, { token: token.subarray(1) }]) {
      clock.advance(60_001);
      await expect(enrolment.enrol(requestWith(token, change))).rejects.toMatchObject({ code: "token-refused" });
    }
  });

  it("stops listening to an address after five failures a minute", async () => {
    const { token } = enrolment.invite("north", 24);
    for (let i = 0; i < 5; i++) {
      await expect(enrolment.enrol(requestWith(new Uint8Array(32), { siteId: `s${i}` }))).rejects.toThrow(/not known/);
    }
    await expect(enrolment.enrol(requestWith(token))).rejects.toMatchObject({ code: "overloaded" });
    clock.advance(60_001);
    expect(await enrolment.enrol(requestWith(token))).toBe("certificate 1 of north");
  });

  it("lets a site join by its invitation whatever others try in its name", async () => {
    const { token } = enrolment.invite("north", 24);
    for (let i = 0; i < 50; i++) {
      const stranger = requestWith(new Uint8Array(32), { address: `10.0.1.${i}` });
      await expect(enrolment.enrol(stranger)).rejects.toThrow(/not known/);
    }
    expect(await enrolment.enrol(requestWith(token))).toBe("certificate 1 of north");
  });

  it("invites for three days at most, and where nothing else is said", () => {
    expect(() => enrolment.invite("north", 73)).toThrow("cannot be valid for 73 hours");
    for (const hours of [0, 72]) {
      expect(enrolment.invite("north", hours).expiresAtMs).toBe(clock.now() + 72 * 3_600_000);
    }
  });

  it("gives a revoked site a way back only through a new invitation", async () => {
    const first = enrolment.invite("north", 24);
    await enrolment.enrol(requestWith(first.token));
    const open = enrolment.invite("north", 24);
    store.revokeSite("north", clock.now());
    await expect(enrolment.enrol(requestWith(open.token))).rejects.toThrow(/not known/);
    const second = enrolment.invite("north", 24);
    await enrolment.enrol(requestWith(second.token, { identityPublicKey: new Uint8Array(32).fill(9) }));
    expect(store.findSite("north")).toMatchObject({ revokedAtMs: null, identityKey: Buffer.alloc(32, 9) });
    expect(store.newestCertificate("north")?.serial).toBe("2");
  });

  it("refuses ids that would not fit into a certificate or a path", () => {
    for (const id of ["", "North", "a/b", "..", "a".repeat(64)]) {
      expect(() => enrolment.invite(id, 24)).toThrow(/not allowed/);
    }
  });
});
