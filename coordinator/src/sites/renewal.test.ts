import { ManualClock } from "@consilium/shared/clock.js";
import { beforeEach, describe, expect, it } from "vitest";
import type { CertificateRow } from "../store/site-store.js";
import { CertificateRenewal } from "./renewal.js";

let rows: CertificateRow[];
let isEnrolled: boolean;
let renewal: CertificateRenewal;
const clock = new ManualClock(1000);

beforeEach(() => {
  rows = [];
  isEnrolled = true;
  renewal = new CertificateRenewal({
    clock,
    issue: ({ csrPem, siteId }) => ({ pem: `${siteId} ${csrPem}`, serial: String(rows.length), expiresAtMs: 2000 }),
    store: {
      currentCertificates: () => rows,
      addCertificate(row) {
        if (isEnrolled) rows.push(row);
        return isEnrolled;
      },
    },
  });
});

describe("CertificateRenewal", () => {
  it("issues one certificate for one request, however often it comes", () => {
    expect(renewal.renew({ siteId: "north", csrPem: "x" })).toBe("north x");
    expect(renewal.renew({ siteId: "north", csrPem: "x" })).toBe("north x");
    expect(rows).toMatchObject([{ serial: "0", issuedAtMs: 1000, expiresAtMs: 2000 }]);
    renewal.renew({ siteId: "north", csrPem: "y" });
    expect(rows).toHaveLength(2);
  });

  it("issues nothing for who is not enrolled, for what is no request, and without end", () => {
    isEnrolled = false;
    const refused = { code: "certificate-refused" };
    expect(() => renewal.renew({ siteId: "north", csrPem: "x" })).toThrowError(expect.objectContaining(refused));
    isEnrolled = true;
    const long = "x".repeat(20_000);
    expect(() => renewal.renew({ siteId: "north", csrPem: long })).toThrowError(expect.objectContaining(refused));
    const asked = Array.from(
      { length: 17 },
      (_, index) => () => renewal.renew({ siteId: "north", csrPem: `${index}` }),
    );
    for (const ask of asked.slice(0, 16)) ask();
    expect(asked[16]).toThrowError(expect.objectContaining({ code: "overloaded" }));
  });
});
