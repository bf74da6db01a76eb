import type { Invitation } from "@consilium/shared/identity/invitation.js";
import { callUnary } from "@consilium/shared/rpc/calls.js";
import { EnrolmentServiceClient } from "@consilium/shared/rpc/gen/federation.js";
import { openPinnedChannel } from "@consilium/shared/rpc/pinned-channel.js";
import type { HttpProxy } from "@consilium/shared/rpc/proxy.js";
import type { Egress } from "../audit/egress-record.js";
import type { Enrolled, EnrolmentAsk } from "../enrolment.js";
import { egressDoor } from "./egress-door.js";
import { toBuffer } from "./messages.js";

const enrolTimeoutMs = 30_000;

/**
 * Asks the coordinator that the invitation pins for a certificate; the request goes through the door of `egress`.
 * @throws ConsiliumError "unreachable", "certificate-refused" when something else answers, or "token-refused".
 */
export async function enrol(
  invitation: Invitation,
  ask: EnrolmentAsk,
  { egress, proxy }: { readonly egress: Egress; readonly proxy: HttpProxy | undefined },
): Promise<Enrolled> {
  const { host, enrolmentPort: port, federation, pin, siteId, secret } = invitation;
  const channel = await openPinnedChannel({ host, port, federation, pin, proxy });
  try {
    const client = channel.client(EnrolmentServiceClient, [egressDoor(egress)]);
    const request = {
      siteId,
      csrPem: ask.csrPem,
      identityPublicKey: toBuffer(ask.identityPublicKey),
      token: toBuffer(secret),
    };
    return await callUnary(client.enrol.bind(client), request, { timeoutMs: enrolTimeoutMs });
  } finally {
    channel.close();
  }
}
