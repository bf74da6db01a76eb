import { existsSync } from "node:fs";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { z } from "zod";
import type { SiteHome } from "./home.js";

/** Which federation this home belongs to, as what site, and how its coordinator is reached and known. Written by join. */
export const enrolmentSchema = z.strictObject({
  version: z.literal(1),
  federation: z.string().min(1),
  siteId: z.string().min(1),
  host: z.string().min(1),
  port: z.number().int().min(1).max(65_535),
  /** Raw Ed25519 key, hex. */
  planPublicKey: z.string().regex(/^[0-9a-f]{64}$/),
});

export type Enrolment = z.output<typeof enrolmentSchema>;

/** What a site asks for, beside what its invitation says. */
export interface EnrolmentAsk {
  /** PKCS #10, PEM. */
  readonly csrPem: string;
  readonly identityPublicKey: Uint8Array;
}

export interface Enrolled {
  readonly certificatePem: string;
  readonly caPem: string;
  readonly federation: string;
  readonly planPublicKey: Uint8Array;
}

/** @throws ConsiliumError "config-missing" when the site has not joined. */
export function loadEnrolment(home: SiteHome): Enrolment {
  if (existsSync(home.identity.enrolment)) return loadYaml(home.identity.enrolment, enrolmentSchema);
  throw new ConsiliumError("config-missing", `${home.root}: this site has not joined a federation`, {
    remedy: "run 'consilium-agent join INVITATION', with the line that the coordinator's operator gave you",
  });
}
