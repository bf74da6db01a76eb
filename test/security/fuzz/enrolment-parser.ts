import { Enrolment } from "@consilium/coordinator/sites/enrolment.js";
import { openDatabase } from "@consilium/coordinator/store/database.js";
import { createSiteStore } from "@consilium/coordinator/store/sqlite-site-store.js";
import { systemClock } from "@consilium/shared/clock.js";
import { publicKeyOfRequest } from "@consilium/shared/identity/certificate-request.js";
import { EnrolmentServiceService, EnrolRequest } from "@consilium/shared/rpc/gen/federation.js";
import { deliveringUnreadable, requireReadable } from "@consilium/shared/rpc/unreadable.js";
import type { Parser } from "./finding.js";

const token = Buffer.alloc(32, 7);
const siteId = "north";

/**
 * Requests to join, past the limit on failed tries, which stops them after a handful when they come through the port:
 * each meets an invitation that nobody used.
 * @param csrPem of a site that joins
 */
export function enrolmentParser(csrPem: string): Parser {
  const sample = EnrolRequest.fromPartial({ siteId, csrPem, identityPublicKey: Buffer.alloc(32, 3), token });
  const database = openDatabase(":memory:", 0);
  const store = createSiteStore(database);
  const { enrol } = deliveringUnreadable(EnrolmentServiceService);
  const issue = (request: { readonly csrPem: string }) => {
    publicKeyOfRequest(request.csrPem);
    return { pem: "certificate", serial: "1", expiresAtMs: systemClock.now() + 1000 };
  };
  return {
    target: "enrolment",
    samples: [EnrolRequest.encode(sample).finish()],
    parse: async (input) => {
      database.exec("DELETE FROM certificates; DELETE FROM sites; DELETE FROM invitations");
      const enrolment = new Enrolment({ store, clock: systemClock, entropy: { bytes: () => token }, issue });
      enrolment.invite(siteId, 1);
      const request: EnrolRequest = requireReadable(enrol!.requestDeserialize(input));
      await enrolment.enrol({ ...request, address: "127.0.0.1" });
    },
  };
}
