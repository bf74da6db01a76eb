import type { CertificateFacts } from "./certificate-check.js";

type Dates = Pick<CertificateFacts, "notBeforeMs" | "notAfterMs">;

/** When a certificate should be replaced: after two thirds of its life, so that the last third is for trying. */
export function renewalDueMs({ notBeforeMs, notAfterMs }: Dates): number {
  return notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3;
}
