import { IdentityKey } from "../identity/identity-key.js";
import { formatPublicKey } from "../identity/public-key-text.js";
import { firstRoster, withSite } from "./edit-roster.js";
import type { RosterFloors } from "./roster.js";
import { type SignedRoster, withSignature } from "./signed-roster.js";
import type { Governance } from "./succession.js";

/** People who hold governance keys, and rosters that they have signed, as tests need them. */
export interface TestGovernance {
  readonly keys: readonly IdentityKey[];
  readonly governance: Governance;
}

export function testGovernance(holders = 3, threshold = 2, federation = "demo"): TestGovernance {
  const keys = Array.from({ length: holders }, () => IdentityKey.generate());
  const publicKeys = keys.map(({ publicKey }) => formatPublicKey(publicKey));
  return { keys, governance: { federation, keys: publicKeys, threshold } };
}

export const testNowMs = Date.UTC(2027, 0, 15);
const times = { nowMs: testNowMs, validUntilMs: Date.UTC(2100, 0, 15) };

/** A first version with these members, signed by as many holders as count. */
export function testRoster(
  members: Readonly<Record<string, Uint8Array>>,
  { keys, governance: { federation, threshold } }: TestGovernance,
  floors: RosterFloors = { minCohort: 2, maxColluders: 0 },
): SignedRoster {
  const sites = Object.entries(members);
  const roster = sites.reduce<SignedRoster>(
    (draft, [siteId, key]) =>
      withSite(draft, { siteId, organisation: `Hospital ${siteId}`, identityKey: formatPublicKey(key) }, times),
    firstRoster(federation, floors, times),
  );
  return keys.slice(0, threshold).reduce(withSignature, roster);
}

/** The same roster, or what a change makes of it, signed by these keys. */
export function signedBy(keys: readonly IdentityKey[], { roster }: SignedRoster): SignedRoster {
  return keys.reduce(withSignature, { roster, signatures: [] });
}

export { times as testTimes };
