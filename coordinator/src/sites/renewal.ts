import { createHash } from "node:crypto";
import type { Clock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { SiteStore } from "../store/site-store.js";
import type { IssueSiteCertificate } from "./issuer.js";

export interface RenewalOptions {
  readonly store: Pick<SiteStore, "currentCertificates" | "addCertificate">;
  readonly clock: Clock;
  readonly issue: IssueSiteCertificate;
}

/** What a site asks over a connection that its present certificate opened. */
export interface RenewalRequest {
  readonly siteId: string;
  readonly csrPem: string;
}

const longestRequest = 16 * 1024;
/** A site needs two: the one in use and the next. More come from agents that were restored or lost an answer. */
const mostCurrent = 16;

/** Hands sites their next certificate. The one before stays good until it expires, so that nothing is interrupted. */
export class CertificateRenewal {
  readonly #options: RenewalOptions;

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  /**
   * The certificate for the request's key; for the same request again, the same one.
   * @throws ConsiliumError "certificate-refused" for a bad request or a revoked site, "overloaded" for too many
   */
  renew({ siteId, csrPem }: RenewalRequest): string {
    const { store, clock, issue } = this.#options;
    if (csrPem.length > longestRequest) throw refused(siteId, "the request is longer than 16 KiB");
    const requestDigest = new Uint8Array(createHash("sha256").update(csrPem).digest());
    const nowMs = clock.now();
    const current = store.currentCertificates(siteId, nowMs);
    const earlier = current.find(
      (row) => row.requestDigest !== null && Buffer.compare(row.requestDigest, requestDigest) === 0,
    );
    if (earlier !== undefined) return earlier.pem;
    if (current.length >= mostCurrent) {
      throw new ConsiliumError("overloaded", `site ${siteId} has ${current.length} certificates that count`, {
        remedy: "try again once one of them has expired, or join again with a new invitation",
      });
    }
    const { pem, serial, expiresAtMs } = issue({ csrPem, siteId });
    const added = store.addCertificate({
      serial,
      siteId,
      pem,
      issuedAtMs: nowMs,
      expiresAtMs,
      requestDigest,
      revokedAtMs: null,
    });
    if (!added) throw refused(siteId, "the site is not enrolled, or was revoked");
    return pem;
  }
}

function refused(siteId: string, reason: string): ConsiliumError {
  return new ConsiliumError("certificate-refused", `site ${siteId} gets no new certificate: ${reason}`, {
    remedy: "ask the coordinator's operator for an invitation and join again",
  });
}
