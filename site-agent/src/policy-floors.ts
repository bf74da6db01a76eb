import type { RosterFloors } from "@consilium/shared/roster/roster.js";
import type { Policy } from "./policy.js";

/** The stricter of what the site's own policy and the federation's roster ask for. */
export function withFloors(policy: Policy, roster: RosterFloors): Policy {
  const { secagg } = policy;
  return {
    ...policy,
    secagg: {
      ...secagg,
      minCohort: Math.max(secagg.minCohort, roster.minCohort),
      maxColluders: Math.max(secagg.maxColluders, roster.maxColluders),
    },
  };
}
