import { ConsiliumError } from "@consilium/shared/errors.js";
import type { KeyAdvert } from "@consilium/shared/protocol.js";
import {
  advertsDigest,
  requireDistinct,
  requireSigned,
  sameAdvert,
  sortAdverts,
} from "@consilium/shared/secagg/adverts.js";
import type { AttemptBinding } from "@consilium/shared/secagg/key-agreement.js";
import { type Neighbourhoods, neighbourhoodsOf } from "@consilium/shared/secagg/neighbourhoods.js";
import { type Floors, requireFloor, ringBoundOf, thresholdOf } from "@consilium/shared/secagg/protocol.js";
import { requireMembers, requireOfRun, requirePeers } from "./members.js";
import type { PlanFacts, RequiredPeers } from "./plan-facts.js";
import { contradiction } from "./refusal.js";

/** The attempt's advertisers U1 as this site verified them. */
export interface Advertisers {
  /** Sorted by site id; a site's position here, from 1, is its x in secret sharing. */
  readonly adverts: readonly KeyAdvert[];
  readonly binding: AttemptBinding;
  readonly floors: Floors;
  readonly requiredPeers: RequiredPeers | undefined;
  /** Sites that must confirm the survivors. */
  readonly threshold: number;
  /** Who masks and shares with whom. */
  readonly neighbourhoods: Neighbourhoods;
  /** B */
  readonly ringBound: number;
}

/**
 * @throws ConsiliumError "policy-refused" for a cohort below the floors or above the plan's size, "share-invalid" for a
 * bad advert, "message-conflict" when the site's own advert is missing or was changed
 */
export function verifyAdvertisers(facts: PlanFacts, ownAdvert: KeyAdvert, adverts: readonly KeyAdvert[]): Advertisers {
  const count = adverts.length;
  const floors: Floors = { advertisers: count, colluders: facts.colluders, minCohort: facts.minCohort };
  // site-check: advertisers-floor
  requireFloor("advertise", count, floors);
  // site-check: advertisers-within-plan
  requireWithinPlan(count, facts.cohortSize);
  const sorted = sortAdverts(adverts);
  // site-check: adverts-distinct
  requireDistinct(sorted);
  // site-check: adverts-of-members
  requireMembers(sorted, facts.members);
  // site-check: adverts-of-run
  requireOfRun(sorted, facts.runSites);
  // site-check: advertisers-required-peers
  requirePeers("advertise", sorted, facts.requiredPeers);
  // site-check: adverts-signed
  requireSigned(facts.context, sorted);
  // site-check: own-advert
  requireOwnAdvert(ownAdvert, sorted);
  const binding = { context: facts.context, advertsDigest: advertsDigest(sorted) };
  const sites = sorted.map(({ siteId }) => siteId);
  return {
    adverts: sorted,
    binding,
    neighbourhoods: neighbourhoodsOf(sites, { colluders: facts.colluders, advertsDigest: binding.advertsDigest }),
    floors,
    requiredPeers: facts.requiredPeers,
    threshold: thresholdOf(count, facts.colluders),
    ringBound: ringBoundOf(count),
  };
}

function requireWithinPlan(count: number, cohortSize: number): void {
  if (count <= cohortSize) return;
  throw new ConsiliumError("policy-refused", `${count} sites advertised; the plan has ${cohortSize}`);
}

function requireOwnAdvert(own: KeyAdvert, adverts: readonly KeyAdvert[]): void {
  const listed = adverts.find((advert) => advert.siteId === own.siteId);
  if (listed !== undefined && sameAdvert(listed, own)) return;
  throw contradiction("own-advert", "the list of adverts lacks this site's own, or changed it");
}

export function positionOf(advertisers: Advertisers, siteId: string): number {
  return advertisers.adverts.findIndex((advert) => advert.siteId === siteId) + 1;
}

export function advertOf(advertisers: Advertisers, siteId: string): KeyAdvert {
  const advert = advertisers.adverts[positionOf(advertisers, siteId) - 1];
  if (advert === undefined) throw new ConsiliumError("internal", `site ${siteId} is not among the advertisers`);
  return advert;
}

/** Those of these sites whose shares this site holds, its own among them where it keeps one. */
export function heldAmong({ neighbourhoods }: Advertisers, self: string, sites: readonly string[]): string[] {
  const held = new Set(neighbourhoods.holdersOf(self));
  return sites.filter((site) => held.has(site));
}

/** @throws ConsiliumError "policy-refused" when too few of the site's own neighbourhood are left */
export function requireNeighbours(advertisers: Advertisers, self: string, sites: readonly string[]): void {
  const [left, least] = [heldAmong(advertisers, self, sites).length, advertisers.neighbourhoods.threshold];
  if (left >= least) return;
  throw new ConsiliumError("policy-refused", `${left} of this site's neighbours are left; ${least} are needed`, {
    remedy: "the attempt ends here for this site; it joins the next one",
  });
}
