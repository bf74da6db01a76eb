import { testGovernance, testRoster } from "@consilium/shared/roster/example-governance.js";
import { testIdentity } from "../audit/test-log.js";
import { RosterFiles } from "../governance/roster-files.js";
import type { SiteHome } from "../home.js";
import type { Policy } from "../policy.js";

/** Has a home's site-a follow a roster of itself and another; for tests. @returns what its policy must pin for it */
export async function followTestRoster(home: SiteHome): Promise<Policy["governance"]> {
  await testIdentity.save(home.identity.identityKey);
  const holders = testGovernance();
  const members = { "site-a": testIdentity.publicKey, "site-b": new Uint8Array(32).fill(2) };
  new RosterFiles(home.governance).pin(testRoster(members, holders));
  const { keys, threshold } = holders.governance;
  return { keys: [...keys], threshold, additions: "approve" };
}
