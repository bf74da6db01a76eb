import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { membersOf } from "@consilium/shared/roster/roster.js";
import { isExpired, isGoverned } from "@consilium/shared/roster/succession.js";
import { sameBytes } from "@consilium/shared/secagg/protocol.js";
import { loadSiteConfig, policyPath } from "../config.js";
import { loadEnrolment } from "../enrolment.js";
import { RosterFiles } from "../governance/roster-files.js";
import type { SiteHome } from "../home.js";
import { loadPolicy, type Policy } from "../policy.js";
import { type ExaminedSite, failed, ok, type Verdict, warning } from "./finding.js";

function policyOf(home: SiteHome): Policy {
  return loadPolicy(policyPath(home, loadSiteConfig(home)));
}

/** Whether any plan at all can pass the policy of this site. */
export function checkPolicy({ home }: ExaminedSite): Verdict {
  const { federation } = loadEnrolment(home);
  const policy = policyOf(home);
  const { keys, threshold } = policy.governance;
  if (policy.federation !== federation) {
    return failed(
      `it follows plans of ${policy.federation}, and the site has joined ${federation}`,
      `write federation: ${federation} into the policy file`,
    );
  }
  if (keys.length === 0) {
    return failed(
      "it pins no governance key, so nobody is known to be a hospital and every plan is refused",
      "write the federation's keys into the policy file: governance: { keys: [ed25519:…], threshold: 2 }",
    );
  }
  return ok(`${threshold} of ${keys.length} governance keys must have signed a roster`);
}

/** Whether the roster that this site follows counts now, and names this site with its own key. */
export async function checkRoster({ home, clock }: ExaminedSite): Promise<Verdict> {
  const { federation, siteId } = loadEnrolment(home);
  const { governance } = policyOf(home);
  const { pinned, waiting } = new RosterFiles(home.governance);
  if (pinned === undefined) return noneFollowed(waiting !== undefined);
  const { roster } = pinned;
  const name = `version ${roster.version}`;
  const remedy = "ask the holders of the governance keys for a new roster, then 'consilium-agent roster fetch'";
  if (!isGoverned(pinned, { ...governance, federation })) {
    return failed(`too few of the keys in the policy have signed ${name}`, remedy);
  }
  if (isExpired(roster, clock.now())) return failed(`${name} was valid until ${roster.validUntil}`, remedy);
  const { publicKey } = await IdentityKey.load(home.identity.identityKey);
  if (!sameBytes(membersOf(roster).get(siteId) ?? new Uint8Array(), publicKey)) {
    return failed(
      `${name} does not name ${siteId} with this site's key as an active site`,
      "give the key that 'consilium-agent identity' prints to the holders of the governance keys",
    );
  }
  if (waiting !== undefined) {
    return warning(
      `${name} is followed, version ${waiting.roster.version} waits for a person of this site`,
      "look at it: 'consilium-agent roster approve'",
    );
  }
  return ok(`${name}, valid until ${roster.validUntil}`);
}

function noneFollowed(waits: boolean): Verdict {
  if (waits) {
    return failed(
      "one waits for a person of this site, none is followed",
      "look at it: 'consilium-agent roster approve'",
    );
  }
  return failed(
    "none is followed, so every plan is refused",
    "ask the coordinator with 'consilium-agent roster fetch'; its operator publishes rosters",
  );
}
