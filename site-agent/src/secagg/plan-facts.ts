import { ConsiliumError } from "@consilium/shared/errors.js";
import { planContext, type ReceivedPlan, type RoundPlan } from "@consilium/shared/protocol.js";
import { type LaneName, parseLanes } from "@consilium/shared/secagg/lanes.js";

/** What the site's own policy insists on, whatever a plan says. */
export interface SiteFloors {
  /** Fewest sites in a sum. */
  readonly minCohort: number;
  /** Colluding sites that masking must at least withstand. */
  readonly maxColluders: number;
  /** Uploads in one round, all its attempts together; the site begins at most ten times as many. */
  readonly maxAttempts: number;
  /** Who is a hospital: raw identity keys by site, from the roster that this site follows. */
  readonly members: ReadonlyMap<string, Uint8Array>;
  readonly requiredPeers?: RequiredPeers | undefined;
  /** The only sites that the run may take, where its configuration names them. */
  readonly runSites?: readonly string[] | undefined;
}

/** Every set of sites must hold at least so many of these. */
export interface RequiredPeers {
  readonly atLeast: number;
  readonly of: readonly string[];
}

/** The part of a plan that masking depends on, checked. */
export interface PlanFacts {
  /** ctx */
  readonly context: Uint8Array;
  /** For each tensor in layout order. */
  readonly tensorClips: readonly number[];
  readonly lanes: readonly LaneName[];
  readonly dimension: number;
  readonly weightCap: number;
  readonly cohortSize: number;
  readonly colluders: number;
  readonly minCohort: number;
  readonly members: SiteFloors["members"];
  readonly requiredPeers: RequiredPeers | undefined;
  readonly runSites: SiteFloors["runSites"];
}

function requireFloors(plan: RoundPlan, floors: SiteFloors): void {
  const remedy = "ask the researcher for a larger cohort, or change the site's policy file";
  // site-check: floor-colluders
  if (plan.colluders < floors.maxColluders) {
    const message = `the plan withstands ${plan.colluders} colluding sites; this site asks for ${floors.maxColluders}`;
    throw new ConsiliumError("policy-refused", message, { remedy });
  }
  // site-check: floor-cohort
  if (plan.minCohort < floors.minCohort) {
    const message = `the plan allows sums over ${plan.minCohort} sites; this site asks for ${floors.minCohort}`;
    throw new ConsiliumError("policy-refused", message, { remedy });
  }
  // site-check: floor-two-honest
  if (plan.minCohort < plan.colluders + 2) {
    const message = `sums over ${plan.minCohort} sites with ${plan.colluders} colluders may show one honest site alone`;
    throw new ConsiliumError("policy-refused", message, { remedy });
  }
}

/** @throws ConsiliumError "policy-refused" below the site's floors, "plan-invalid" for a plan that cannot be masked */
export function planFacts({ plan, body }: ReceivedPlan, floors: SiteFloors): PlanFacts {
  requireFloors(plan, floors);
  // site-check: weight-cap
  if (!Number.isSafeInteger(plan.weightCap) || plan.weightCap < 1) {
    throw new ConsiliumError("plan-invalid", `the plan's weight cap ${plan.weightCap} is not a positive integer`);
  }
  return {
    context: planContext(body),
    tensorClips: plan.tensorClips,
    lanes: parseLanes(plan.lanes),
    dimension: plan.dimension,
    weightCap: plan.weightCap,
    cohortSize: plan.cohortSize,
    colluders: plan.colluders,
    minCohort: plan.minCohort,
    members: floors.members,
    requiredPeers: floors.requiredPeers,
    runSites: floors.runSites,
  };
}
