import { ConsiliumError } from "@consilium/shared/errors.js";
import { mostRosterBytes, parseSignedRoster, type SignedRoster } from "@consilium/shared/roster/signed-roster.js";
import { callServerStream } from "@consilium/shared/rpc/calls.js";
import type { FederationServiceClient } from "@consilium/shared/rpc/gen/federation.js";
import { brokenAsUnreachable } from "./connection-end.js";

const timeoutMs = 20_000;
/** A federation changes its members a few times a year. */
const mostVersions = 1000;
const mostBytes = 16 * mostRosterBytes;

/**
 * The rosters after a version, oldest first, as they can be read; whether they may be followed is another question.
 * @throws ConsiliumError "unreachable", or "roster-refused" for what cannot be a chain of rosters
 */
export async function fetchRosters(client: FederationServiceClient, afterVersion: number): Promise<SignedRoster[]> {
  const rosters: SignedRoster[] = [];
  let bytes = 0;
  const limits = { signal: AbortSignal.timeout(timeoutMs) };
  try {
    for await (const { document } of callServerStream(client.fetchRosters.bind(client), { afterVersion }, limits)) {
      bytes += document.length;
      if (rosters.length >= mostVersions || bytes > mostBytes) throw tooMany();
      rosters.push(parseSignedRoster(document));
    }
  } catch (thrown) {
    throw brokenAsUnreachable(thrown);
  }
  return rosters;
}

function tooMany(): ConsiliumError {
  return new ConsiliumError("roster-refused", "the coordinator sent more rosters than a federation can have");
}
