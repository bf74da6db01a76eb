import { checkBundle, describeCertificate } from "@consilium/shared/identity/certificate-check.js";
import { loadTlsBundle } from "@consilium/shared/identity/key-files.js";
import { renewalDueMs } from "@consilium/shared/identity/renewal-time.js";
import { formatDuration, formatInstant } from "@consilium/shared/terminal/format.js";
import { loadEnrolment } from "../enrolment.js";
import { type ExaminedSite, failed, ok, type Verdict, warning } from "./finding.js";

/** Whether the site may show its certificate now. That it was revoked only the coordinator knows. */
export async function checkCertificate({ home, clock }: ExaminedSite): Promise<Verdict> {
  const { federation, siteId: id } = loadEnrolment(home);
  const bundle = await loadTlsBundle(home.identity.directory);
  const facts = describeCertificate(bundle.certPem);
  const { notBeforeMs, notAfterMs } = facts;
  const nowMs = clock.now();
  if (nowMs < notBeforeMs) {
    return failed(
      `it is valid from ${formatInstant(notBeforeMs)}: by that, this machine's clock is ${formatDuration(notBeforeMs - nowMs)} behind or more`,
      "set this machine's clock, for instance with NTP",
    );
  }
  if (nowMs > notAfterMs) {
    return failed(
      `it expired on ${formatInstant(notAfterMs)}, ${formatDuration(nowMs - notAfterMs)} ago by this machine's clock`,
      "check the clock; if it is right, ask the coordinator's operator for a new invitation and join again",
    );
  }
  checkBundle(bundle, { identity: { federation, role: "site", id }, nowMs });
  const until = `valid until ${formatInstant(notAfterMs)}`;
  // The agent spreads its first try over a twelfth of the certificate's life.
  const lateMs = nowMs - renewalDueMs(facts) - (notAfterMs - notBeforeMs) / 12;
  if (lateMs <= 0) return ok(until);
  return warning(
    `${until}; it should have been renewed ${formatDuration(lateMs)} ago`,
    "let the agent run, and see 'consilium-agent status' for why it cannot renew it",
  );
}
