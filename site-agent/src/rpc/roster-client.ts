import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { SignedRoster } from "@consilium/shared/roster/signed-roster.js";
import { openChannel } from "@consilium/shared/rpc/channel.js";
import { explainFailure } from "@consilium/shared/rpc/explain-failure.js";
import { FederationServiceClient } from "@consilium/shared/rpc/gen/federation.js";
import type { HttpProxy } from "@consilium/shared/rpc/proxy.js";
import type { Egress } from "../audit/egress-record.js";
import type { Enrolment } from "../enrolment.js";
import { egressDoor } from "./egress-door.js";
import { fetchRosters } from "./fetch-rosters.js";

export interface RosterCall {
  readonly enrolment: Enrolment;
  readonly bundle: TlsBundle;
  readonly egress: Egress;
  readonly proxy: HttpProxy | undefined;
}

/**
 * Asks for the rosters after a version over a connection of its own.
 * @throws ConsiliumError as `fetchRosters`; where there is no connection, with the reason that a probe finds
 */
export async function askForRosters(
  { enrolment, bundle, egress, proxy }: RosterCall,
  afterVersion: number,
): Promise<readonly SignedRoster[]> {
  const channel = openChannel({ ...enrolment, bundle, proxy });
  try {
    return await fetchRosters(channel.client(FederationServiceClient, [egressDoor(egress)]), afterVersion);
  } catch (thrown) {
    throw await explainFailure(thrown, { ...enrolment, bundle, proxy });
  } finally {
    channel.close();
  }
}
